//! The ticket actor: keeps the only writer of one ticket and lets it advance when it is nudged.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::lease::{Depth, NudgePermit, TreeLease};
use crate::metrics::Handling;
use crate::runner::{Rest, Runner, Seat};

/// Asks the actor to look at its ticket.
pub(crate) struct Look {
    pub permit: NudgePermit,
    pub _depth: Depth,
}

/// What the supervisor and its worker both see.
#[derive(Default)]
pub(crate) struct Pulse {
    /// Whether a look is queued behind the one in hand. More would say the same.
    queued: AtomicBool,
    /// Failures since the last advance that went well.
    failures: AtomicU32,
    /// Whether the worker before this one panicked.
    pub panicked: bool,
    /// Looks queued and in hand.
    pub depth: Arc<AtomicUsize>,
}

impl Pulse {
    pub fn after(failures: u32, panicked: bool) -> Self {
        Self { failures: AtomicU32::new(failures), panicked, ..Self::default() }
    }

    /// Whether a look has to be sent; if so, it counts as queued.
    pub fn wants_look(&self) -> bool {
        !self.queued.swap(true, Ordering::SeqCst)
    }

    pub fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }
}

pub(crate) struct TicketArgs {
    pub seat: Seat,
    pub pulse: Arc<Pulse>,
    /// Held, not read: the next tree starts when the last clone is gone.
    pub tree: TreeLease,
}

/// After each message, `runner` equals the rows of its ticket.
pub(crate) struct TicketState<R> {
    /// `None` once the runner is loaded.
    seat: Option<Seat>,
    runner: Option<R>,
    pulse: Arc<Pulse>,
    _tree: TreeLease,
}

pub(crate) struct TicketActor<R>(PhantomData<fn() -> R>);

impl<R> TicketActor<R> {
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R: Runner> Actor for TicketActor<R> {
    type Msg = Look;
    type State = TicketState<R>;
    type Arguments = TicketArgs;

    /// Awaits nothing: the supervisor waits for it.
    async fn pre_start(&self, _: ActorRef<Look>, args: TicketArgs) -> Result<Self::State, ActorProcessingErr> {
        Ok(TicketState { seat: Some(args.seat), runner: None, pulse: args.pulse, _tree: args.tree })
    }

    /// Reads the truth before the first look.
    async fn post_start(&self, _: ActorRef<Look>, state: &mut Self::State) -> Result<(), ActorProcessingErr> {
        if let Some(seat) = state.seat.take() {
            let _handling = Handling::of(R::ACTOR, "load");
            state.runner = Some(Box::pin(R::load(seat)).await?);
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Look>,
        look: Look,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = Handling::of(R::ACTOR, "look");
        if state.look(look).await? != Rest::Waiting {
            let _ = myself.drain(); // what is queued behind is still looked at
        }
        Ok(())
    }
}

impl<R: Runner> TicketState<R> {
    async fn look(&mut self, look: Look) -> Result<Rest, ActorProcessingErr> {
        self.pulse.queued.store(false, Ordering::SeqCst); // before the work: what happens from now on wants another look
        let Some(runner) = &mut self.runner else { return Ok(Rest::Over) };
        let rest = Box::pin(runner.advance()).await?; // boxed: an idle actor does not carry the size of its busiest moment
        self.pulse.failures.store(0, Ordering::Relaxed);
        drop(look);
        Ok(rest)
    }
}
