//! Decisions over time: the supervised actors.
//!
//! One project, one supervised tree of actors, at most one of them at any instant. Start at [`Directory`]; then handle,
//! project, restart, supervisor, ticket. What a worker does with its ticket is in the runners: calls in `call`, the rest in
//! `task_ticket`. What the actors need from outside are the traits in [`ports`].

mod accountant;
mod basis;
mod call;
pub mod callback;
pub mod clockwork;
pub mod context;
mod delivery;
mod desk;
pub mod dial_lane;
mod directory;
pub mod error;
mod failure;
mod handle;
mod kind;
mod lease;
mod meaning;
mod memory;
mod message;
pub mod metrics;
mod nudge;
mod outage;
mod placement;
pub mod ports;
mod project;
pub mod replay;
mod request;
mod restart;
pub mod retry;
mod runner;
mod sales_bridge;
pub mod schedule;
mod sentinel;
mod sniper;
mod supervisor;
mod sweeper;
mod task_ticket;
pub mod tasks;
mod ticket;
mod watch;
pub mod world;

#[cfg(test)]
mod promises;
#[cfg(test)]
extern crate self as apex_actors;

pub use directory::Directory;
pub use error::{ActorError, Refusal};
pub use handle::ProjectHandle;
pub use kind::ActorKind;
pub use ports::Ports;
pub use project::{ChildView, TreeView, WorkerView};
pub use request::Request;
pub use restart::RestartRule;
pub use world::{CurrentNode, Rules, World};
