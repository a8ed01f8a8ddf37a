//! Dead letters: tickets that were set aside after repeated failures, for a person to look at and to run again.

mod list;
mod replay;
mod replay_many;
mod show;

use apex_storage::DeadLetter;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list::list_dead_letters))
        .routes(routes!(replay_many::replay_dead_letters))
        .routes(routes!(show::show_dead_letter))
        .routes(routes!(replay::replay_dead_letter))
}

/// A ticket that was set aside.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterBody {
    id: Uuid,
    project_id: String,
    /// The ticket, which is the context.
    context_id: Uuid,
    /// What its deaths have in common: the lead, or the ticket itself. At every third one an alarm is raised.
    correlation_id: Uuid,
    task: String,
    /// Why it was set aside: `crashed`, ...
    code: String,
    /// When it was set aside.
    at: DateTime<Utc>,
    /// When its ticket was begun once more.
    replayed_at: Option<DateTime<Utc>>,
    /// Who had that done.
    replayed_by: Option<String>,
    /// When it was put away, because nobody had touched it for a day.
    archived_at: Option<DateTime<Utc>>,
}

impl DeadLetterBody {
    fn of(letter: DeadLetter, slug: &str) -> Self {
        Self {
            id: letter.id.0,
            project_id: slug.to_owned(),
            context_id: letter.ticket_id.0,
            correlation_id: letter.correlation_id,
            task: letter.task,
            code: letter.code,
            at: letter.at,
            replayed_at: letter.replayed_at,
            replayed_by: letter.replayed_by,
            archived_at: letter.archived_at,
        }
    }
}
