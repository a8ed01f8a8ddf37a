//! The supervisor of ticket actors: one worker per ticket, started by its first nudge, gone when its ticket is over.
//!
//! A ticket has one writer: while a worker finishes its queue, the next nudge waits here for its end. A worker that fails
//! comes back by itself, later after each failure; its ticket is set aside by whoever loads it too often.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apex_storage::fault::{self, Fault};
use apex_storage::model::TicketId;
use apex_storage::{StorageError, clock};
use futures::future::BoxFuture;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, MessagingErr, SpawnErr, SupervisionEvent};

use crate::failure::Cause;
use crate::kind::ActorKind;
use crate::lease::{Depth, NudgePermit};
use crate::metrics::{self, Handling};
use crate::project::ChildArgs;
use crate::runner::{Runner, Seat};
use crate::ticket::{Look, Pulse, TicketActor, TicketArgs};

/// How long workers may take to finish what they have in hand when their supervisor stops.
const DRAIN_PATIENCE: Duration = Duration::from_secs(8);
/// Unfinished tickets taken up again at a start; the sweeper brings the rest.
const RELOADED: i64 = 1000;

/// What a supervisor can be told.
pub(crate) enum SupervisorMessage {
    /// Something about a ticket may be new.
    Nudge { ticket: TicketId, permit: NudgePermit, depth: Depth },
    /// The rest of a failed worker is over.
    Again(TicketId),
}

/// Which tickets a supervisor is for and who works on them.
#[derive(Clone, Copy)]
pub(crate) struct Post {
    pub kind: ActorKind,
    /// The `actor` of its tickets.
    pub actor: &'static str,
    /// Passed with each message.
    fault: Option<Fault>,
    hire: Hire,
}

/// Starts a worker under its supervisor.
type Hire = fn(TicketArgs, ActorCell) -> BoxFuture<'static, Result<ActorRef<Look>, SpawnErr>>;

impl Post {
    /// The post whose workers run `R`.
    pub fn of<R: Runner>(kind: ActorKind, fault: Option<Fault>) -> Self {
        Self { kind, actor: R::ACTOR, fault, hire: |args, parent| Box::pin(hire::<R>(args, parent)) }
    }
}

async fn hire<R: Runner>(args: TicketArgs, parent: ActorCell) -> Result<ActorRef<Look>, SpawnErr> {
    // No name: ractor's registry is one per process, and a second node in the same test would collide.
    TicketActor::<R>::spawn_linked(None, TicketActor::new(), args, parent).await.map(|(actor, _)| actor)
}

/// The workers of one supervisor, for whoever shows the tree without asking it.
#[derive(Default)]
pub(crate) struct Roster(Mutex<HashMap<TicketId, Arc<AtomicUsize>>>);

impl Roster {
    /// How many there are, and the first few with the length of their mailboxes.
    pub fn list(&self, at_most: usize) -> (usize, Vec<(TicketId, usize)>) {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut listed: Vec<_> = workers.iter().map(|(id, depth)| (*id, depth.load(Ordering::Relaxed))).collect();
        listed.sort_unstable();
        listed.truncate(at_most);
        (workers.len(), listed)
    }

    /// Forgets everybody: their supervisor is gone, and they with it.
    pub fn clear(&self) {
        self.change(HashMap::clear);
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<TicketId, Arc<AtomicUsize>>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

pub(crate) struct SupervisorArgs {
    pub post: Post,
    pub roster: Arc<Roster>,
    pub child: ChildArgs,
}

/// `places` holds exactly the tickets whose workers run, drain or rest.
pub(crate) struct SupervisorState {
    args: SupervisorArgs,
    places: HashMap<TicketId, Place>,
    tickets: HashMap<ActorId, TicketId>,
}

enum Place {
    Working {
        actor: ActorRef<Look>,
        pulse: Arc<Pulse>,
        /// A nudge that came while the worker was finishing its queue.
        waiting: Option<NudgePermit>,
    },
    /// The worker failed so often in a row and comes back after a while.
    Resting {
        failures: u32,
        /// Whether the ticket itself is to blame: a panic, and no row that could not be read.
        panicked: bool,
    },
}

pub(crate) struct TicketSupervisor;

impl Actor for TicketSupervisor {
    type Msg = SupervisorMessage;
    type State = SupervisorState;
    type Arguments = SupervisorArgs;

    async fn pre_start(
        &self,
        _: ActorRef<Self::Msg>,
        args: SupervisorArgs,
    ) -> Result<SupervisorState, ActorProcessingErr> {
        args.roster.clear();
        Ok(SupervisorState { args, places: HashMap::new(), tickets: HashMap::new() })
    }

    /// Takes up all unfinished work.
    async fn post_start(
        &self,
        myself: ActorRef<Self::Msg>,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        Box::pin(state.reload(&myself)).await?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: SupervisorMessage,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = Handling::of(state.args.post.kind.as_str(), "nudge");
        if let Some(point) = state.args.post.fault {
            fault::pass(point).await;
        }
        match message {
            SupervisorMessage::Nudge { ticket, permit, depth: _depth } => state.nudge(&myself, ticket, permit).await,
            SupervisorMessage::Again(ticket) => state.again(&myself, ticket).await,
        }
        Ok(())
    }

    /// ractor's default stops the supervisor when a worker ends.
    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut SupervisorState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(who, ..) => state.ended(&myself, who.get_id()).await,
            SupervisionEvent::ActorFailed(who, error) => state.failed(&myself, who.get_id(), &error)?,
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }

    /// Without this the end of the supervisor would kill its workers in the middle of a message.
    async fn post_stop(&self, myself: ActorRef<Self::Msg>, _: &mut SupervisorState) -> Result<(), ActorProcessingErr> {
        myself.drain_children_and_wait(Some(DRAIN_PATIENCE)).await;
        Ok(())
    }
}

impl SupervisorState {
    async fn reload(&mut self, myself: &ActorRef<SupervisorMessage>) -> Result<(), StorageError> {
        let mut tx = self.args.child.world.store.fenced(&self.args.child.lease).await?;
        let unfinished = tx.unfinished_tickets(self.args.post.actor, RELOADED).await?;
        tx.commit().await?;
        for ticket in unfinished {
            let Some(permit) = self.own_permit() else { break };
            self.nudge(myself, ticket, permit).await;
        }
        Ok(())
    }

    /// For nudges of our own making. `None`: there are very many, or the tree is about to stop; the sweeper finds the work.
    fn own_permit(&self) -> Option<NudgePermit> {
        self.args.child.gate.enter_nudge(self.args.child.world.store.clock().monotonic()).ok()
    }

    async fn nudge(&mut self, myself: &ActorRef<SupervisorMessage>, ticket: TicketId, permit: NudgePermit) {
        match self.places.get_mut(&ticket) {
            None => self.start(myself, ticket, Pulse::default(), permit).await,
            Some(Place::Working { actor, pulse, waiting }) => {
                if waiting.is_none() && pulse.wants_look() {
                    *waiting = send(actor, pulse, permit);
                }
            }
            Some(Place::Resting { .. }) => {} // it looks at everything when it comes back
        }
    }

    async fn start(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        ticket: TicketId,
        pulse: Pulse,
        permit: NudgePermit,
    ) {
        let (child, pulse) = (&self.args.child, Arc::new(pulse));
        let seat = Seat {
            world: Arc::clone(&child.world),
            lease: child.lease.clone(),
            node: child.node.clone(),
            ticket,
            panicked: pulse.panicked,
        };
        let args = TicketArgs { seat, pulse: Arc::clone(&pulse), tree: Arc::clone(&child.tree) };
        match (self.args.post.hire)(args, myself.get_cell()).await {
            Ok(actor) => {
                pulse.wants_look();
                let waiting = send(&actor, &pulse, permit);
                self.args.roster.change(|workers| drop(workers.insert(ticket, Arc::clone(&pulse.depth))));
                self.tickets.insert(actor.get_id(), ticket);
                self.places.insert(ticket, Place::Working { actor, pulse, waiting });
            }
            Err(error) => {
                tracing::warn!(ticket.id = %ticket, %error, "a ticket's worker could not be started");
                self.places.remove(&ticket); // the row is still due: the sweeper nudges it again
            }
        }
    }

    fn remove(&mut self, who: ActorId) -> Option<(TicketId, Place)> {
        let ticket = self.tickets.remove(&who)?;
        self.args.roster.change(|workers| drop(workers.remove(&ticket)));
        Some((ticket, self.places.remove(&ticket)?))
    }

    /// A worker's ticket is over. A nudge that came too late for it starts the next worker.
    async fn ended(&mut self, myself: &ActorRef<SupervisorMessage>, who: ActorId) {
        if let Some((ticket, Place::Working { waiting: Some(permit), .. })) = self.remove(who) {
            self.start(myself, ticket, Pulse::default(), permit).await;
        }
    }

    /// A failed worker rests, then looks again. When another owner has taken over, the whole tree has to go.
    fn failed(
        &mut self,
        myself: &ActorRef<SupervisorMessage>,
        who: ActorId,
        error: &ActorProcessingErr,
    ) -> Result<(), StorageError> {
        let cause = Cause::of(error);
        metrics::restarted(self.args.post.actor, cause);
        if cause == Cause::Fenced {
            return Err(StorageError::Fenced);
        }
        let Some((ticket, Place::Working { pulse, .. })) = self.remove(who) else { return Ok(()) };
        let failures = pulse.failures().saturating_add(1);
        let rule = &self.args.child.world.rules.restart;
        let wait = rule.wait(failures as usize, clock::jitter());
        let error = apex_storage::with_causes(error.as_ref());
        tracing::warn!(ticket.id = %ticket, error, failures, wait_ms = wait.as_millis(), "a ticket's worker failed");
        self.places.insert(ticket, Place::Resting { failures, panicked: cause == Cause::Panic });
        myself.send_after(wait, move || SupervisorMessage::Again(ticket));
        Ok(())
    }

    async fn again(&mut self, myself: &ActorRef<SupervisorMessage>, ticket: TicketId) {
        let Some(Place::Resting { failures, panicked }) = self.places.get(&ticket) else { return };
        let pulse = Pulse::after(*failures, *panicked);
        match self.own_permit() {
            Some(permit) => self.start(myself, ticket, pulse, permit).await,
            None => drop(self.places.remove(&ticket)),
        }
    }
}

/// Sends a look. Given back: the worker is finishing its queue and takes no more.
fn send(actor: &ActorRef<Look>, pulse: &Pulse, permit: NudgePermit) -> Option<NudgePermit> {
    match actor.send_message(Look { permit, _depth: Depth::of(&pulse.depth) }) {
        Err(MessagingErr::SendErr(back)) => Some(back.permit),
        Ok(()) | Err(_) => None,
    }
}
