//! What every actor of a node shares: rows, the outside, the mirror and the rules.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use apex_config::prices::Prices;
use apex_storage::blob::Blobs;
use apex_storage::mirror::MirrorWriter;
use apex_storage::{Node, Store};

use crate::ports::Ports;
use crate::restart::RestartRule;

/// The node's shared means. Cheap to clone behind its `Arc`.
pub struct World {
    /// The facts.
    pub store: Store,
    /// The outside.
    pub ports: Ports,
    /// Copies of tickets for readers.
    pub mirror: MirrorWriter,
    /// Recordings.
    pub blobs: Blobs,
    /// What things cost.
    pub prices: Prices,
    /// Times and limits.
    pub rules: Rules,
    /// The base of callback addresses, without a slash at the end.
    pub public_url: String,
    /// The pace of outgoing calls.
    pub lane: Arc<crate::dial_lane::DialLane>,
    /// How the node's beat opens a connection of its own (Postgres with `max_connections: 1`); `None`: it uses the store.
    pub beat_store: Option<apex_storage::Options>,
    /// Where files are kept; its disk is watched.
    pub data_dir: PathBuf,
}

/// Times and limits of the actors.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long a phone rings.
    pub ring_timeout: Duration,
    /// How long an unclear call is looked for before it is held.
    pub lookup_for: Duration,
    /// No callback for so long: the provider is asked.
    pub silent_after: Duration,
    /// How long a recording may take after the call.
    pub recording_wait: Duration,
    /// How long a conversation may last.
    pub max_duration: Duration,
    /// Requests in flight on the node.
    pub node_permits: usize,
    /// Requests in flight in one project.
    pub project_permits: u32,
    /// Live trees at once.
    pub live_trees: usize,
    /// How long a caller waits for its answer.
    pub call_timeout: Duration,
    /// How long a tree may be idle before it is passivated.
    pub idle_after: Duration,
    /// How long a stopping tree may take to answer what is under way.
    pub drain_patience: Duration,
    /// How often due tickets are looked for.
    pub sweep_every: Duration,
    /// How long the mirror keeps a ticket.
    pub context_ttl: Duration,
    /// How long the journal of an ended ticket is kept.
    pub timeline_kept: Duration,
    /// No call or message leaves until a person releases it.
    pub hold_effects: bool,
    /// A lead without an outcome for so long breaks a promise.
    pub outcome_within: Duration,
    /// When failed actors come back.
    pub restart: RestartRule,
}

/// The node as it is registered now; another one after its lease was lost.
pub type CurrentNode = Arc<std::sync::RwLock<Node>>;
