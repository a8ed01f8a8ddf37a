//! The project actor: starts a project's actors by their first message, passes work on, and judges their failures.
//!
//! It never waits for a child, so it always answers: reply and permit travel on with the work.

mod child;
mod parking;
mod view;

use std::sync::Arc;

use apex_storage::fault::{self, Fault};
use apex_storage::model::TicketId;
use apex_storage::{Lease, Node, StorageError, clock};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use serde_json::Value;

use crate::error::ActorError;
use crate::failure::Cause;
use crate::kind::ActorKind;
use crate::lease::{Depth, Gate, NudgePermit, Permit, TreeLease};
use crate::metrics::{self, Handling};
use crate::request::Request;
use crate::restart::Verdict;
use crate::sales_bridge::Crew;
use crate::world::World;
use child::{Child, ChildRef, Place};

pub(crate) use child::{ChildArgs, Envelope};
pub use view::{ChildView, TreeView, WorkerView};

/// How long children may take to finish what they have in hand when the project stops.
const DRAIN_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Where an answer goes.
pub(crate) type Reply = RpcReplyPort<Result<Value, ActorError>>;

/// What the project actor can be told.
pub(crate) enum ProjectMessage {
    /// Has the right child answer.
    Ask { request: Request, permit: Permit, reply: Reply },
    /// Something about a ticket may be new.
    Nudge { ticket: TicketId, kind: ActorKind, permit: NudgePermit },
    /// The tree before this one crashed: takes up its work.
    Wake(NudgePermit),
    /// Shows the live tree.
    Tree(RpcReplyPort<TreeView>),
    /// A child's wait is over.
    Revive(ActorKind),
}

pub(crate) struct ProjectArgs {
    pub world: Arc<World>,
    pub lease: Lease,
    pub node: Node,
    pub tree: TreeLease,
    pub gate: Arc<Gate>,
    pub crew: Crew,
}

/// `children[kind as usize]` is what is known of that child, whether or not it runs.
pub(crate) struct ProjectState {
    args: ProjectArgs,
    children: [Child; ActorKind::ALL.len()],
}

pub(crate) struct ProjectActor;

impl Actor for ProjectActor {
    type Msg = ProjectMessage;
    type State = ProjectState;
    type Arguments = ProjectArgs;

    async fn pre_start(
        &self,
        _: ActorRef<ProjectMessage>,
        args: ProjectArgs,
    ) -> Result<ProjectState, ActorProcessingErr> {
        Ok(ProjectState { args, children: Default::default() })
    }

    /// Remembers who is parked: the rows outlive the tree.
    async fn post_start(
        &self,
        myself: ActorRef<ProjectMessage>,
        state: &mut ProjectState,
    ) -> Result<(), ActorProcessingErr> {
        Box::pin(state.recall_parked(&myself)).await?;
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<ProjectMessage>,
        message: ProjectMessage,
        state: &mut ProjectState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = Handling::of("project", message.name());
        fault::pass(Fault::ProjectHandle).await;
        match message {
            ProjectMessage::Ask { request, permit, reply } => state.ask(&myself, request, permit, reply).await?,
            ProjectMessage::Nudge { ticket, kind, permit } => state.nudge(&myself, ticket, kind, permit).await?,
            ProjectMessage::Wake(_permit) => state.wake(&myself).await?,
            ProjectMessage::Revive(kind) => state.revive(&myself, kind).await?,
            ProjectMessage::Tree(reply) => {
                let _ = reply.send(state.view());
            }
        }
        Ok(())
    }

    /// ractor's default stops the parent when a child fails.
    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<ProjectMessage>,
        event: SupervisionEvent,
        state: &mut ProjectState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, error) => {
                let cause = Cause::of(&error);
                let error = apex_storage::with_causes(error.as_ref());
                tracing::error!(project.id = %state.args.lease.project, error, cause = cause.as_str(), "an actor failed");
                state.bury(&myself, who.get_id(), cause).await?;
            }
            SupervisionEvent::ActorTerminated(who, ..) => state.bury(&myself, who.get_id(), Cause::Stopped).await?,
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }

    /// Without this the end of the parent would kill its children in the middle of a message.
    async fn post_stop(
        &self,
        myself: ActorRef<ProjectMessage>,
        _: &mut ProjectState,
    ) -> Result<(), ActorProcessingErr> {
        myself.drain_children_and_wait(Some(DRAIN_PATIENCE)).await;
        Ok(())
    }
}

impl ProjectMessage {
    const fn name(&self) -> &'static str {
        match self {
            Self::Ask { .. } => "ask",
            Self::Nudge { .. } => "nudge",
            Self::Wake(_) => "wake",
            Self::Tree(_) => "tree",
            Self::Revive(_) => "revive",
        }
    }
}

/// An error means that the tree has to go.
impl ProjectState {
    async fn ask(
        &mut self,
        myself: &ActorRef<ProjectMessage>,
        request: Request,
        permit: Permit,
        reply: Reply,
    ) -> Result<(), StorageError> {
        let kind = request.kind();
        self.ready(myself, kind).await?;
        let child = self.child(kind);
        let envelope = Envelope { request, reply, _permit: permit, _depth: Depth::of(&child.depth) };
        match &child.place {
            Place::Running(actor) => actor.ask(envelope),
            Place::Parked { .. } => envelope.answer(Err(ActorError::Parked(kind.as_str()))),
            Place::BackingOff | Place::NotStarted => envelope.answer(Err(ActorError::Unavailable)),
        }
        Ok(())
    }

    /// A nudge for a child that rests is dropped: the row keeps the work, and whoever starts reads all rows.
    async fn nudge(
        &mut self,
        myself: &ActorRef<ProjectMessage>,
        ticket: TicketId,
        kind: ActorKind,
        permit: NudgePermit,
    ) -> Result<(), StorageError> {
        self.ready(myself, kind).await?;
        let child = self.child(kind);
        if let Place::Running(actor) = &child.place {
            actor.nudge(ticket, permit, Depth::of(&child.depth));
        }
        Ok(())
    }

    async fn wake(&mut self, myself: &ActorRef<ProjectMessage>) -> Result<(), StorageError> {
        for kind in [ActorKind::SalesBridge, ActorKind::Tickets] {
            self.ready(myself, kind).await?;
        }
        Ok(())
    }

    /// Starts the child if this is its first message, and trusts it again if it has held out since it was parked.
    async fn ready(&mut self, myself: &ActorRef<ProjectMessage>, kind: ActorKind) -> Result<(), StorageError> {
        let clock = self.args.world.store.clock();
        let child = self.child(kind);
        child.last_message = Some(clock.now());
        match child.place {
            Place::NotStarted => self.start(myself, kind).await,
            Place::Running(_) if child.has_row && child.failures.held_out(clock.monotonic()) => self.trust(kind).await,
            _ => Ok(()),
        }
    }

    async fn revive(&mut self, myself: &ActorRef<ProjectMessage>, kind: ActorKind) -> Result<(), StorageError> {
        let child = self.child(kind);
        if matches!(child.place, Place::BackingOff | Place::Parked { .. }) {
            child.restarts += 1;
            self.start(myself, kind).await?;
        }
        Ok(())
    }

    async fn start(&mut self, myself: &ActorRef<ProjectMessage>, kind: ActorKind) -> Result<(), StorageError> {
        let args = ChildArgs {
            world: Arc::clone(&self.args.world),
            lease: self.args.lease.clone(),
            node: self.args.node.clone(),
            tree: Arc::clone(&self.args.tree),
            gate: Arc::clone(&self.args.gate),
        };
        let (crew, roster) = (self.args.crew, Arc::clone(&self.child(kind).roster));
        match ChildRef::spawn(kind, args, crew, roster, myself.get_cell()).await {
            Ok(actor) => {
                self.child(kind).place = Place::Running(actor);
                Ok(())
            }
            Err(error) => {
                tracing::error!(project.id = %self.args.lease.project, actor = kind.as_str(), %error, "an actor did not start");
                self.judge(myself, kind, Cause::Panic).await
            }
        }
    }

    async fn bury(
        &mut self,
        myself: &ActorRef<ProjectMessage>,
        who: ractor::ActorId,
        cause: Cause,
    ) -> Result<(), StorageError> {
        let was = |child: &Child| matches!(&child.place, Place::Running(actor) if actor.id() == who);
        match ActorKind::ALL.into_iter().find(|&kind| was(self.child(kind))) {
            Some(kind) => self.judge(myself, kind, cause).await,
            None => Ok(()),
        }
    }

    async fn judge(
        &mut self,
        myself: &ActorRef<ProjectMessage>,
        kind: ActorKind,
        cause: Cause,
    ) -> Result<(), StorageError> {
        metrics::restarted(kind.as_str(), cause);
        if cause == Cause::Fenced {
            return Err(StorageError::Fenced);
        }
        let (rule, store) = (self.args.world.rules.restart, &self.args.world.store);
        let now = store.clock().monotonic();
        // Not its fault: it is not counted towards parking.
        let is_outage = cause == Cause::Storage && (store.is_away() || store.is_full());
        let child = self.child(kind);
        child.roster.clear();
        let verdict = if is_outage {
            Verdict::Restart(rule.backoff_cap)
        } else {
            rule.judge(&mut child.failures, now, clock::jitter())
        };
        match verdict {
            Verdict::Restart(wait) => {
                child.place = Place::BackingOff;
                myself.send_after(wait, move || ProjectMessage::Revive(kind));
                Ok(())
            }
            Verdict::Park { rest, failures } => {
                myself.send_after(rest, move || ProjectMessage::Revive(kind));
                self.park(myself, kind, rest, failures, cause).await
            }
        }
    }

    fn child(&mut self, kind: ActorKind) -> &mut Child {
        &mut self.children[kind as usize]
    }
}
