//! A child of the project actor, from the parent's side.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use apex_storage::model::TicketId;
use apex_storage::{Lease, Node};
use chrono::{DateTime, Utc};
use ractor::{Actor, ActorCell, ActorId, ActorRef, MessagingErr, SpawnErr};
use serde_json::Value;

use super::Reply;
use crate::accountant::AccountantActor;
use crate::error::ActorError;
use crate::kind::ActorKind;
use crate::lease::{Depth, Gate, NudgePermit, Permit, TreeLease};
use crate::request::Request;
use crate::restart::Failures;
use crate::sales_bridge::Crew;
use crate::sentinel::SentinelActor;
use crate::sniper::SniperActor;
use crate::supervisor::{Roster, SupervisorArgs, SupervisorMessage, TicketSupervisor};
use crate::world::World;

/// What every child gets.
#[derive(Clone)]
pub(crate) struct ChildArgs {
    pub world: Arc<World>,
    /// What every write is made under.
    pub lease: Lease,
    pub node: Node,
    /// Held, not read: the next tree starts when the last clone is gone.
    pub tree: TreeLease,
    pub gate: Arc<Gate>,
}

/// A request on its way to a child. Dropping it gives the permit back and lowers the child's depth.
pub(crate) struct Envelope {
    pub request: Request,
    pub reply: Reply,
    pub _permit: Permit,
    pub _depth: Depth,
}

impl Envelope {
    /// Answers, then lets go of the permit. The caller may have left; that is no failure of ours.
    pub fn answer(self, answer: Result<Value, ActorError>) {
        let _ = self.reply.send(answer);
    }
}

/// What is known of a child.
#[derive(Default)]
pub(super) struct Child {
    pub place: Place,
    pub failures: Failures,
    /// A row says that it is parked, or was and has not held out yet.
    pub has_row: bool,
    /// A row could not be written; said once.
    pub told: bool,
    pub restarts: u64,
    pub last_message: Option<DateTime<Utc>>,
    pub depth: Arc<AtomicUsize>,
    pub roster: Arc<Roster>,
}

#[derive(Default)]
pub(super) enum Place {
    /// No message yet.
    #[default]
    NotStarted,
    Running(ChildRef),
    /// It failed and comes back soon.
    BackingOff,
    /// It failed too often and is tried again then.
    Parked {
        until: DateTime<Utc>,
    },
}

pub(super) enum ChildRef {
    /// Works on tickets.
    Desk(ActorRef<SupervisorMessage>),
    /// Answers questions.
    Clerk(ActorRef<Envelope>),
}

impl ChildRef {
    pub async fn spawn(
        kind: ActorKind,
        child: ChildArgs,
        crew: Crew,
        roster: Arc<Roster>,
        parent: ActorCell,
    ) -> Result<Self, SpawnErr> {
        let desk = |post| SupervisorArgs { post, roster, child: child.clone() };
        Ok(match kind {
            ActorKind::SalesBridge => {
                Self::Desk(TicketSupervisor::spawn_linked(None, TicketSupervisor, desk(crew.calls), parent).await?.0)
            }
            ActorKind::Tickets => {
                Self::Desk(TicketSupervisor::spawn_linked(None, TicketSupervisor, desk(crew.tasks), parent).await?.0)
            }
            ActorKind::Sniper => Self::Clerk(SniperActor::spawn_linked(None, SniperActor, child, parent).await?.0),
            ActorKind::Accountant => {
                Self::Clerk(AccountantActor::spawn_linked(None, AccountantActor, child, parent).await?.0)
            }
            ActorKind::Sentinel => {
                Self::Clerk(SentinelActor::spawn_linked(None, SentinelActor, child, parent).await?.0)
            }
        })
    }

    pub fn id(&self) -> ActorId {
        match self {
            Self::Desk(actor) => actor.get_id(),
            Self::Clerk(actor) => actor.get_id(),
        }
    }

    /// A child that died a moment ago gives the request back: nothing was done.
    pub fn ask(&self, envelope: Envelope) {
        match self {
            Self::Clerk(actor) => {
                if let Err(MessagingErr::SendErr(back)) = actor.send_message(envelope) {
                    back.answer(Err(ActorError::Unavailable));
                }
            }
            Self::Desk(_) => envelope.answer(Err(ActorError::Unavailable)),
        }
    }

    /// A desk that died a moment ago drops the nudge: its successor reads all rows.
    pub fn nudge(&self, ticket: TicketId, permit: NudgePermit, depth: Depth) {
        if let Self::Desk(actor) = self {
            let _ = actor.send_message(SupervisorMessage::Nudge { ticket, permit, depth });
        }
    }
}
