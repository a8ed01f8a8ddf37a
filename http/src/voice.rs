//! The telephone line: proof that a request is Twilio's, what it tells, and the scripts it is answered with.
//!
//! A callback is committed before it is answered, and the answer is made of rows alone: nothing here waits for an actor.

pub mod signature;
pub mod twiml;

mod after;
mod amd;
pub(crate) mod callback;
mod connect;
pub(crate) mod contract;
mod incoming;
mod leg;
pub(crate) mod line;
#[cfg(test)]
pub(crate) mod office;
mod phrases;
mod progress;
mod recording_status;
mod status;
mod transcription;
mod whisper;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

/// Every path that Twilio's voice service asks or tells.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(incoming::voice_incoming))
        .routes(routes!(whisper::voice_whisper))
        .routes(routes!(connect::voice_connect))
        .routes(routes!(after::voice_after))
        .routes(routes!(status::voice_status))
        .routes(routes!(leg::voice_leg))
        .routes(routes!(recording_status::voice_recording_status))
        .routes(routes!(transcription::voice_transcription))
        .routes(routes!(amd::voice_amd))
}
