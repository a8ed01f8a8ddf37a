//! The API of people and programs, one endpoint per file.

mod api_keys;
mod audit;
mod auth;
mod context;
mod dead_letters;
mod dna;
mod effects;
mod leads;
mod projects;
mod recordings;
mod run;
mod schedules;
mod tickets;
mod usage;
mod users;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

/// All of them.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(auth::routes())
        .merge(api_keys::routes())
        .routes(routes!(users::me))
        .merge(projects::routes())
        .merge(dna::routes())
        .routes(routes!(run::run))
        .merge(context::routes())
        .merge(tickets::routes())
        .merge(dead_letters::routes())
        .merge(schedules::routes())
        .merge(effects::routes())
        .merge(leads::routes())
        .routes(routes!(recordings::recording))
        .routes(routes!(usage::usage))
        .routes(routes!(audit::list_audit))
}
