//! Facts: the only crate that knows SQL and Redis.
//!
//! Start at [`Store`]: it opens the database and hands out the four transactions. Requests use [`TenantTx`], actor trees
//! [`FencedTx`], leads the group commit in [`Intake`], and placement, sweeps and the event relay [`SystemTx`]; sign-in and
//! routing read through [`IdentityTx`]. What a row means is in [`model`], which does no I/O.

mod api_key;
mod audit;
pub mod blob;
mod bridge;
mod call_inbox;
pub mod clock;
mod contact;
mod database;
mod dead_letter;
mod duty;
mod effect;
mod error;
mod event;
pub mod fault;
mod fenced;
mod idempotency;
mod identity;
mod intake;
mod journal;
mod lead;
mod ledger;
mod lookup_key;
pub mod mirror;
pub mod model;
mod parked;
mod placement;
mod project;
mod promise;
mod reach;
mod room;
mod schedule;
mod schema_check;
mod sql;
mod system;
mod tables;
mod tenant;
mod ticket;

pub use api_key::{ApiKey, ApiKeyFilter, KeyHolder, NewApiKey};
pub use audit::{ActorKind, AuditEntry, AuditFilter, AuditRow};
pub use bridge::{Bridge, BridgePlan, NewBridge};
pub use call_inbox::{InboxRow, NewInboxRow};
pub use contact::{Contact, ContactDraft};
pub use database::{Backend, Options, Store};
pub use dead_letter::{DeadLetter, DeadLetterFilter};
pub use duty::ClaimedCall;
pub use effect::{DecidedEffect, Effect, EffectFilter, EffectVerdict, NewEffect};
pub use error::{StorageError, with_causes};
pub use event::{EventRow, NewEvent};
pub use fenced::{FencedTx, Lease};
pub use idempotency::Stored;
pub use identity::{IdentityTx, Member, NewUser, Route, Session, User};
pub use intake::{Accepted, Intake, IntakeError, LeadIntake};
pub use journal::{Journal, JournalEntry, Outcome};
pub use lead::{Lead, LeadFilter, LeadPatch, NewLead};
pub use ledger::{Spend, UsageEntry};
pub use lookup_key::LookupKey;
pub use parked::ParkedActor;
pub use placement::{Claim, Node, NodeBeat};
pub use project::{NewProject, Project};
pub use promise::{Bounds, BrokenPromise};
pub use schedule::{DueSchedule, NewSchedule, Schedule, ScheduleFilter};
pub use schema_check::LOGIN_RECIPE;
pub use system::{DueTicket, SystemTx};
pub use tables::{TABLES, Table, TableClass};
pub use tenant::TenantTx;
pub use ticket::{NewTicket, Ticket, TicketEvent, TicketFilter};
