//! Whether this node may own projects: it is registered, its lease is kept alive, and whoever answers from memory first looks
//! whether the lease may have run out unnoticed.
//!
//! On Postgres a thread of its own beats, so that a busy runtime does not look like a dead node. On `SQLite` the data
//! directory is locked and nobody else can take over.

use std::sync::{Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use apex_storage::{Node, NodeBeat, StorageError, Store};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::directory::{Directory, House};
use crate::error::ActorError;

/// How long a node lives after its last beat.
const TTL: Duration = Duration::from_secs(6);
/// How often it beats.
const BEAT_EVERY: Duration = Duration::from_millis(1500);
/// How often dead nodes are removed.
const BURY_EVERY: Duration = Duration::from_secs(1);
/// How long we trust a beat, from when it was sent: a fifth of its life less than the database does.
const TRUST: Duration = Duration::from_millis(4800);

/// The node's lease as far as this process knows.
pub(crate) struct NodeLife {
    until: Mutex<Until>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// The data directory is locked.
    Forever,
    Instant(Instant),
    /// It was lost and is not had again yet.
    Lost,
}

impl NodeLife {
    /// Puts the node's row in place.
    pub async fn register(store: &Store, node: &Node) -> Result<Self, StorageError> {
        let sent = store.clock().monotonic();
        register(store, node).await?;
        let until = if store.is_postgres() { Until::Instant(sent + TRUST) } else { Until::Forever };
        Ok(Self { until: Mutex::new(until), stop: watch::Sender::new(false), thread: Mutex::new(None) })
    }

    /// Whether the lease certainly runs on.
    pub fn holds(&self, now: Instant) -> bool {
        match *self.until.lock().unwrap_or_else(PoisonError::into_inner) {
            Until::Forever => true,
            Until::Instant(until) => now < until,
            Until::Lost => false,
        }
    }

    fn set(&self, until: Until) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Takes no more projects. A failure only means that others may still ask us.
    pub async fn drain(&self, store: &Store, node: &Node) {
        let drain = async {
            let mut tx = store.system().await?;
            tx.drain_node(&node.id).await?;
            tx.commit().await
        };
        if let Err(error) = drain.await {
            tracing::warn!(node.id = %node.id, %error, "the node could not be marked as draining");
        }
    }

    /// Beats no more and removes the node's row. A failure only means that others wait until the lease has run out.
    pub async fn leave(&self, store: &Store, node: &Node) {
        self.stop.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        let leave = async {
            let mut tx = store.system().await?;
            tx.leave_node(&node.id).await?;
            tx.commit().await
        };
        if let Err(error) = leave.await {
            tracing::warn!(node.id = %node.id, %error, "the node could not sign off");
        }
    }
}

async fn register(store: &Store, node: &Node) -> Result<(), StorageError> {
    let mut tx = store.system().await?;
    tx.register_node(node, TTL).await?;
    tx.commit().await
}

impl Directory {
    /// Starts to beat, where nodes can die.
    pub(crate) fn keep_alive(&self) -> Result<(), ActorError> {
        if !self.world().store.is_postgres() {
            return Ok(());
        }
        let (house, stop) = (std::sync::Arc::downgrade(&self.0), self.0.life.stop.subscribe());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| no_thread(&error))?;
        let beat = move || runtime.block_on(beat_until(house, stop));
        let thread =
            std::thread::Builder::new().name("apex-beat".into()).spawn(beat).map_err(|error| no_thread(&error))?;
        *self.0.life.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// The node's row is gone, and others may own its projects: every tree dies, and the node comes back under another id.
    pub(crate) async fn come_back(&self, store: &Store) -> Result<(), StorageError> {
        let life = &self.0.life;
        life.set(Until::Lost);
        self.kill_all();
        let lost = self.node();
        let id = format!("{}:{}", Node::installation(&lost.id), Uuid::now_v7());
        let node = Node { id, address: lost.address };
        let sent = store.clock().monotonic();
        register(store, &node).await?;
        tracing::error!(node.id = %node.id, lost = %lost.id, "the node's lease was lost; it is back under another id");
        self.replace_node(node);
        life.set(if store.is_postgres() { Until::Instant(sent + TRUST) } else { Until::Forever });
        Ok(())
    }

    async fn beat(&self, store: &Store) -> Result<(), StorageError> {
        let sent = store.clock().monotonic();
        let mut tx = store.system().await?;
        let beat = tx.beat(&self.node().id, TTL).await?;
        tx.commit().await?;
        match beat {
            NodeBeat::Alive => {
                self.0.life.set(Until::Instant(sent + TRUST));
                Ok(())
            }
            NodeBeat::Dead => self.come_back(store).await,
        }
    }
}

fn no_thread(error: &std::io::Error) -> ActorError {
    tracing::error!(%error, "the node's beat cannot start");
    ActorError::Unavailable
}

/// Beats and buries until told to stop, or until the directory is gone. On a connection of its own if the world has one: the
/// node's pool belongs to another runtime, and may be exhausted just when it matters.
async fn beat_until(house: Weak<House>, mut stop: watch::Receiver<bool>) {
    let (mut beats, mut burials) = (ticks(BEAT_EVERY), ticks(BURY_EVERY));
    let (mut apart, mut opening, mut is_out) = (None, JoinSet::new(), false);
    if let Some(options) = house.upgrade().and_then(|house| house.world.beat_store.clone()) {
        opening.spawn(Store::open(options));
    }
    loop {
        let beating = tokio::select! {
            _ = stop.changed() => return,
            _ = beats.tick() => true,
            _ = burials.tick() => false,
        };
        let Some(directory) = house.upgrade().map(Directory) else { return };
        match opening.try_join_next() {
            None => {}
            Some(Ok(Ok(store))) => apart = Some(store),
            Some(_) => tracing::warn!("the beat has no connection of its own and shares the node's"),
        }
        let store = apart.as_ref().unwrap_or(&directory.world().store);
        let done = tokio::time::timeout(BEAT_EVERY, one_turn(&directory, store, beating)).await;
        let failure = match done {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        if failure.is_some() && !is_out {
            tracing::error!(failure, "the node's beat failed; trying on");
        }
        is_out = failure.is_some();
    }
}

async fn one_turn(directory: &Directory, store: &Store, beating: bool) -> Result<(), StorageError> {
    if beating {
        return directory.beat(store).await;
    }
    let mut tx = store.system().await?;
    tx.bury_nodes().await?;
    tx.commit().await
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
