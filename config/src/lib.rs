//! Settings, Project DNA and prices: what everybody reads and nobody else knows.
//!
//! - [`load_process`] and [`load`]: `apex.toml` below the environment, checked whole, every problem at once.
//! - [`KEYS`]: every setting with its two names, its default and its meaning.
//! - [`dna`]: what one project wants, in layers (defaults < generated < custom).
//! - [`prices`]: integer micro-dollars.

pub mod auth;
pub mod calls;
pub mod cluster;
pub mod database;
pub mod dna;
pub mod keys;
pub mod limits;
pub mod llm;
pub mod prices;
pub mod problem;
pub mod redis;
pub mod server;
pub mod telemetry;
pub mod twilio;

mod check;
mod file;
mod load;
mod nearest;
mod source;

pub use auth::Auth;
pub use calls::Calls;
pub use cluster::Cluster;
pub use database::{Database, DatabaseUrl};
pub use keys::{DEFAULT_FILE, KEYS, Key, Kind};
pub use limits::Limits;
pub use llm::Llm;
pub use load::{Config, Environment, load, load_process, load_with_names};
pub use problem::{Problem, Problems};
pub use redis::Redis;
pub use server::Server;
pub use telemetry::Telemetry;
pub use twilio::Twilio;
