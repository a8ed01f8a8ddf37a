//! The harness: starts the real program, plays the outside, and leaves nothing running.
//!
//! A test builds an [`Apex`] on a [`apex_sandbox::Sandbox`], talks to it through a [`Client`], waits for states with
//! [`wait::until`] and hands both to [`finish`], where the sandbox's ledger is the judge. An [`ordeal`] is a run under
//! kills and an outside in disorder; a [`reckoning`] says afterwards what of the promises was kept.

pub mod client;
pub mod dice;
pub mod lead;
pub mod leftovers;
pub mod load;
pub mod ordeal;
pub mod postgres;
pub mod program;
pub mod reckoning;
pub mod redis;
pub mod sse;
pub mod stores;
pub mod twilio;
pub mod verdict;
pub mod wait;

pub use client::{Client, Project, Session};
pub use lead::GoogleLead;
pub use postgres::Postgres;
pub use program::Apex;
pub use redis::Redis;
pub use twilio::Twilio;
pub use verdict::{finish, finish_after_a_freeze};
