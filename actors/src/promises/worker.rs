//! A worker that does what its project's script says and records what it was made to do.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use apex_storage::StorageError;
use apex_storage::model::{ProjectId, TicketId};
use dashmap::DashMap;
use tokio::sync::Semaphore;

use crate::kind::ActorKind;
use crate::runner::{Rest, Runner, Seat};
use crate::sales_bridge::Crew;
use crate::supervisor::Post;

/// What a worker does with its ticket.
#[derive(Clone, Copy, Default)]
pub enum Act {
    /// Does it and is done.
    #[default]
    End,
    /// Does it and waits for more.
    Wait,
    /// Waits for `Script::release` first.
    Stall,
    /// Panics.
    Panic,
    /// Asks the rows whether it still may.
    Write,
}

/// What the workers of one project are to do, and did.
pub struct Script {
    acts: Mutex<HashMap<TicketId, Act>>,
    pub looks: Mutex<HashMap<TicketId, u32>>,
    /// Tickets whose workers said that they are over.
    pub over: Mutex<HashSet<TicketId>>,
    pub loads: AtomicUsize,
    /// Times that two trees acted at once, or an older one after a younger.
    pub overlaps: AtomicU64,
    acting: Mutex<Acting>,
    gate: Semaphore,
}

/// Which tree acts now, and how many of its workers do.
#[derive(Default)]
struct Acting {
    fence: i64,
    workers: u32,
}

static SCRIPTS: LazyLock<DashMap<ProjectId, Arc<Script>>> = LazyLock::new(DashMap::new);

/// The crew that plays scripts.
pub fn crew() -> Crew {
    Crew {
        calls: Post::of::<CallPlayer>(ActorKind::SalesBridge, None),
        tasks: Post::of::<TaskPlayer>(ActorKind::Tickets, None),
    }
}

impl Script {
    pub fn of(project: ProjectId) -> Arc<Self> {
        let new = || Self {
            acts: Mutex::default(),
            looks: Mutex::default(),
            over: Mutex::default(),
            loads: AtomicUsize::new(0),
            overlaps: AtomicU64::new(0),
            acting: Mutex::default(),
            gate: Semaphore::new(0),
        };
        Arc::clone(&SCRIPTS.entry(project).or_insert_with(|| Arc::new(new())))
    }

    pub fn set(&self, ticket: TicketId, act: Act) {
        lock(&self.acts).insert(ticket, act);
    }

    pub fn looks_at(&self, ticket: TicketId) -> u32 {
        lock(&self.looks).get(&ticket).copied().unwrap_or(0)
    }

    pub fn release(&self) {
        self.gate.add_permits(1000);
    }

    fn act(&self, fence: i64) -> Turn<'_> {
        let mut acting = lock(&self.acting);
        if fence < acting.fence || (fence > acting.fence && acting.workers > 0) {
            self.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        if fence > acting.fence {
            *acting = Acting { fence, workers: 0 };
        }
        acting.workers += 1;
        Turn(self, fence)
    }
}

/// One worker in the middle of a look; a kill ends it, too.
struct Turn<'a>(&'a Script, i64);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut acting = lock(&self.0.acting);
        if acting.fence == self.1 {
            acting.workers -= 1;
        }
    }
}

struct Player {
    seat: Seat,
    script: Arc<Script>,
}

impl Player {
    async fn load(seat: Seat) -> Self {
        let script = Script::of(seat.lease.project);
        script.loads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Self { seat, script }
    }

    async fn advance(&self) -> Result<Rest, StorageError> {
        let ticket = self.seat.ticket;
        let _turn = self.script.act(self.seat.lease.fence);
        let act = lock(&self.script.acts).get(&ticket).copied().unwrap_or_default();
        *lock(&self.script.looks).entry(ticket).or_default() += 1;
        match act {
            Act::Panic => panic!("the worker was told to panic"),
            Act::Stall => drop(self.script.gate.acquire().await),
            Act::Write => self.seat.world.store.fenced(&self.seat.lease).await?.commit().await?,
            Act::End | Act::Wait => tokio::task::yield_now().await,
        }
        if matches!(act, Act::Wait | Act::Write) {
            return Ok(Rest::Waiting);
        }
        lock(&self.script.over).insert(ticket);
        Ok(Rest::Over)
    }
}

macro_rules! players {
    ($($(#[$meta:meta])* $name:ident = $actor:literal,)+) => {$(
        $(#[$meta])*
        struct $name(Player);

        impl Runner for $name {
            const ACTOR: &'static str = $actor;

            async fn load(seat: Seat) -> Result<Self, StorageError> {
                Ok(Self(Player::load(seat).await))
            }

            async fn advance(&mut self) -> Result<Rest, StorageError> {
                self.0.advance().await
            }
        }
    )+};
}

players! {
    CallPlayer = "call",
    TaskPlayer = "task",
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
