//! The wire of Apex: what comes in over HTTP is verified and normalised here, what goes out gets its shape here.
//!
//! [`router()`] is the API and [`admin_router`] the operator's port, both over an [`AppState`]; [`openapi`] is the reviewed
//! document of the API. Which failure gets which status is decided in [`error`] alone.

mod access;
mod admin;
mod audit;
pub mod auth;
mod docs;
pub mod error;
mod extract;
mod health;
mod idempotency;
mod limits;
pub mod metrics;
mod observe;
mod page;
pub mod problem;
#[cfg(test)]
mod promises;
mod reading;
mod router;
mod sms;
mod state;
mod v1;
pub mod voice;
pub mod webhooks;

pub use admin::admin_router;
pub use limits::Rates;
pub use router::{openapi, router};
pub use state::{AppState, Parts, TwilioLine};
