//! From a project's id to its live tree: starts it once, passivates it, never has two.

mod keeper;
mod slot;
mod stopping;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use apex_storage::model::{OrgId, ProjectId};
use apex_storage::{Claim, Lease, Node};
use dashmap::DashMap;
use ractor::{Actor, ActorId, ActorRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::error::ActorError;
use crate::handle::ProjectHandle;
use crate::lease::{Gate, TreeLease, TreeLeaseParts};
use crate::metrics;
use crate::nudge::{self, Errand};
use crate::placement::NodeLife;
use crate::project::{ProjectActor, ProjectArgs};
use crate::sales_bridge::Crew;
use crate::world::{CurrentNode, World};
use keeper::{Keeper, KeeperState};
use slot::Slot;

pub(crate) use slot::Live;

/// All projects of this node. Cheap to clone.
#[derive(Clone)]
pub struct Directory(pub(crate) Arc<House>);

/// What the clones of a directory share.
pub(crate) struct House {
    pub(crate) world: Arc<World>,
    node: CurrentNode,
    pub(crate) life: NodeLife,
    crew: Crew,
    slots: DashMap<ProjectId, Arc<Slot>>,
    seats: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    keeper: ActorRef<()>,
    crashes: Arc<AtomicU64>,
    starts: AtomicU64,
    open: AtomicBool,
    pub(crate) errands: mpsc::Sender<Errand>,
    /// What runs beside the trees: dispatcher, wakers, sweeper. Ended at shutdown.
    tasks: Mutex<JoinSet<()>>,
}

impl Directory {
    /// Registers the node, keeps its lease alive, and opens a directory without trees. `node` is replaced when the lease was
    /// lost and the node came back under another id.
    ///
    /// # Errors
    ///
    /// `Storage` when the node cannot be registered; `Unavailable` when its actors or its thread cannot start.
    pub async fn open(world: Arc<World>, node: CurrentNode) -> Result<Self, ActorError> {
        Self::open_with(world, node, Crew::house()).await
    }

    pub(crate) async fn open_with(world: Arc<World>, node: CurrentNode, crew: Crew) -> Result<Self, ActorError> {
        let (crashes, (tell, deaths)) = (Arc::new(AtomicU64::new(0)), mpsc::unbounded_channel());
        let args = KeeperState { crashes: Arc::clone(&crashes), tell };
        let (keeper, _) = Keeper::spawn(None, Keeper, args).await.map_err(|_| ActorError::Unavailable)?;
        let (errands, waiting) = mpsc::channel(nudge::QUEUE);
        let life = NodeLife::register(&world.store, &current(&node)).await?;
        let directory = Self(Arc::new(House {
            slots: DashMap::new(),
            seats: Arc::new(Semaphore::new(world.rules.live_trees)),
            permits: Arc::new(Semaphore::new(world.rules.node_permits)),
            world,
            node,
            life,
            crew,
            keeper,
            crashes,
            starts: AtomicU64::new(0),
            open: AtomicBool::new(true),
            errands,
            tasks: Mutex::new(JoinSet::new()),
        }));
        directory.keep_alive()?;
        directory.own(nudge::dispatch(directory.clone(), waiting));
        directory.own(keeper::wake_crashed(directory.clone(), deaths));
        Ok(directory)
    }

    /// The handle of a project. Starts nothing.
    pub fn project(&self, org: OrgId, project: ProjectId) -> ProjectHandle {
        ProjectHandle { org, project, directory: self.clone() }
    }

    /// Trees alive now, their stopping ones included.
    pub fn live_trees(&self) -> usize {
        self.0.world.rules.live_trees.saturating_sub(self.0.seats.available_permits())
    }

    /// Trees started since the directory was opened.
    pub fn starts(&self) -> u64 {
        self.0.starts.load(Ordering::Relaxed)
    }

    /// Project actors that died of an error or a panic.
    pub fn crashes(&self) -> u64 {
        self.0.crashes.load(Ordering::Relaxed)
    }

    /// The node as it is registered now.
    pub fn node(&self) -> Node {
        current(&self.0.node)
    }

    pub(crate) fn replace_node(&self, node: Node) {
        *self.0.node.write().unwrap_or_else(PoisonError::into_inner) = node;
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.0.world
    }

    pub(crate) fn monotonic(&self) -> Instant {
        self.0.world.store.clock().monotonic()
    }

    /// Runs a task until the directory is shut down.
    pub(crate) fn own(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if self.is_open() {
            tasks.spawn(task);
        }
    }

    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, ActorError> {
        Arc::clone(&self.0.permits).try_acquire_owned().map_err(|_| ActorError::Overloaded)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.open.load(Ordering::SeqCst)
    }

    /// The live tree of a project, if it has one here.
    pub(crate) fn live(&self, project: ProjectId) -> Option<Live> {
        self.0.slots.get(&project)?.live()
    }

    /// The lease of the project actor, dead or alive.
    pub(crate) fn lease_of(&self, who: ActorId) -> Option<Lease> {
        let was = |slot: &Slot| slot.any().filter(|live| live.actor.get_id() == who).map(|live| live.lease);
        self.0.slots.iter().find_map(|slot| was(&slot))
    }

    /// The live tree, started if there is none. Any number of callers at once start one.
    pub(crate) async fn route(&self, org: OrgId, project: ProjectId) -> Result<Live, ActorError> {
        self.may_route()?;
        let slot = self.slot(project);
        if let Some(live) = slot.live() {
            return Ok(live);
        }
        let _turn = slot.turn.lock().await;
        self.may_route()?; // closed while we waited: `shutdown` has our slot or never will
        if let Some(live) = slot.live() {
            return Ok(live);
        }
        let live = Box::pin(self.start(org, project, &slot)).await?;
        slot.set(Some(live.clone()));
        Ok(live)
    }

    /// Nobody is let in while the node is closing, or while its lease may have run out unnoticed.
    pub(crate) fn may_route(&self) -> Result<(), ActorError> {
        let may = self.is_open() && self.0.life.holds(self.monotonic());
        may.then_some(()).ok_or(ActorError::Unavailable)
    }

    /// Looked up first: an entry locks its shard for writing.
    fn slot(&self, project: ProjectId) -> Arc<Slot> {
        if let Some(slot) = self.0.slots.get(&project) {
            return Arc::clone(&slot);
        }
        Arc::clone(&self.0.slots.entry(project).or_insert_with(|| Arc::new(Slot::vacant())))
    }

    async fn start(&self, org: OrgId, project: ProjectId, slot: &Slot) -> Result<Live, ActorError> {
        let (rules, before) = (&self.0.world.rules, slot.any());
        let seat = self.seat().await?;
        let tree: TreeLease =
            Arc::new(TreeLeaseParts { _seat: seat, _project: slot.tree(rules.drain_patience).await? });
        let node = self.node();
        let lease = self.claim(org, project, &node, before.map(|live| live.lease)).await?;
        let gate = Arc::new(Gate::new(rules.project_permits, self.monotonic()));
        let args = ProjectArgs {
            world: Arc::clone(&self.0.world),
            lease: lease.clone(),
            node,
            tree,
            gate: Arc::clone(&gate),
            crew: self.0.crew,
        };
        // No name: ractor's registry is one per process, and a second node in the same test would collide.
        let spawned = ProjectActor::spawn_linked(None, ProjectActor, args, self.0.keeper.get_cell()).await;
        let (actor, _) = spawned.map_err(|_| ActorError::Unavailable)?;
        self.0.starts.fetch_add(1, Ordering::Relaxed);
        metrics::projects_active(self.live_trees());
        Ok(Live { actor, gate, lease })
    }

    /// To be called with the slot's turn: a second claim at the same time would fence the first.
    async fn claim(
        &self,
        org: OrgId,
        project: ProjectId,
        node: &Node,
        before: Option<Lease>,
    ) -> Result<Lease, ActorError> {
        let mut tx = self.0.world.store.system().await?;
        let claim = tx.claim(org, project, &node.id).await?;
        tx.commit().await?;
        match claim {
            Claim::Granted(lease) => {
                if lease.fence > 1 && before.is_none_or(|before| before.node != lease.node) {
                    metrics::taken_over();
                }
                Ok(lease)
            }
            Claim::Elsewhere(address) => Err(ActorError::Elsewhere(address)),
            Claim::Refused => Err(ActorError::Unavailable),
        }
    }

    /// A place for one more tree, if need be that of the longest idle one.
    async fn seat(&self) -> Result<OwnedSemaphorePermit, ActorError> {
        let seats = &self.0.seats;
        if let Ok(seat) = Arc::clone(seats).try_acquire_owned() {
            return Ok(seat);
        }
        let now = self.monotonic();
        let idle = |slot: &Slot| slot.live().filter(|live| live.gate.is_quiet()).map(|live| live.gate.idle_for(now));
        let longest = self.0.slots.iter().filter_map(|slot| Some((idle(&slot)?, *slot.key()))).max();
        if let Some((_, project)) = longest {
            self.passivate(project, Duration::ZERO).await;
        }
        Arc::clone(seats).try_acquire_owned().map_err(|_| ActorError::Overloaded)
    }
}

fn current(node: &RwLock<Node>) -> Node {
    node.read().unwrap_or_else(PoisonError::into_inner).clone()
}
