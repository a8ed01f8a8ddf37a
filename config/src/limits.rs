//! How much is taken on at once.

use std::time::Duration;

use crate::source::Source;

/// Bounds of work in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests in hand on this node.
    pub node_permits: usize,
    /// Requests in hand for one project; never more than the node's.
    pub project_permits: u32,
    /// Projects awake on this node.
    pub live_trees: usize,
    /// How long an actor may take to answer.
    pub call_timeout: Duration,
    /// When an idle project is put to sleep.
    pub idle_after: Duration,
    /// How long stopping waits for work in hand.
    pub drain_patience: Duration,
    /// Time between two looks for due work.
    pub sweep_every: Duration,
    /// How long the timeline of an ended ticket is kept.
    pub timeline_kept: Duration,
    /// Requests of one organisation each second; 0: not limited.
    pub organization_per_second: u32,
    /// Requests without a valid token from one address each second; 0: addresses are not counted.
    pub address_per_second: u32,
    /// Wrong attempts to sign in each minute, by address and by e-mail address; 0: not limited.
    pub logins_per_minute: u32,
    /// Largest request body in bytes.
    pub body_bytes: usize,
}

impl Limits {
    pub(crate) fn read(source: &mut Source<'_>) -> Self {
        let node_permits = source.count("limits.node_permits", 1..=10_000_000);
        let project_permits = source.count("limits.project_permits", 1..=10_000_000);
        if project_permits > node_permits && !source.is_wrong("limits.node_permits") {
            source.refuse(
                "limits.project_permits",
                "is more than the whole node may have in hand",
                "lower it, or raise APEX_NODE_PERMITS",
            );
        }
        Self {
            node_permits: size(node_permits),
            project_permits,
            live_trees: size(source.count("limits.live_trees", 1..=10_000_000)),
            call_timeout: source.milliseconds("limits.actor_milliseconds", 10..=600_000),
            idle_after: source.seconds("limits.idle_seconds", 1..=86_400),
            drain_patience: source.seconds("limits.drain_seconds", 1..=600),
            sweep_every: source.milliseconds("limits.sweep_milliseconds", 10..=60_000),
            timeline_kept: Duration::from_hours(24 * source.number("limits.timeline_days", 1..=36_500)),
            organization_per_second: source.count("limits.organization_per_second", 0..=1_000_000),
            address_per_second: source.count("limits.address_per_second", 0..=1_000_000),
            logins_per_minute: source.count("limits.logins_per_minute", 0..=100_000),
            body_bytes: size(source.count("limits.body_bytes", 1_024..=1 << 30)),
        }
    }
}

fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
