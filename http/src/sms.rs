//! Text messages: what Twilio tells about them.

mod incoming;
mod status;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

/// Every path that Twilio's messaging service asks or tells.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(incoming::sms_incoming)).routes(routes!(status::sms_status))
}
