//! The watch: looks at the rows of all tenants, and at what the phone provider says it did, for promises that are broken.
//!
//! It only reads. What it finds is a gauge for whoever is to be woken, and one line in the log when a promise breaks and one
//! when it is kept again. Which rows break a promise is storage's knowledge.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use apex_storage::{Bounds, ClaimedCall, StorageError};
use chrono::{DateTime, TimeDelta, Utc};

use crate::clockwork::offset;
use crate::directory::Directory;
use crate::metrics;
use crate::outage::Outage;
use crate::ports::{PlacedCall, PortError};
use crate::sweeper::ticks;
use crate::world::Rules;

/// A customer was called twice. The one promise whose breaking makes a project's health critical.
pub(crate) const CALLED_TWICE: &str = "called_twice";

/// What is seen in the rows alone.
const IN_ROWS: [&str; 6] =
    ["lead_without_outcome", CALLED_TWICE, "stuck_ticket", "held_effect", "unclear_effect", "dead_letter"];
/// The provider made a call from our number that none of our effects claims.
const UNKNOWN_CALL: &str = "unknown_call";
/// A call was made and never billed.
const UNBILLED_CALL: &str = "unbilled_call";

/// How often rows are looked at.
const WATCH_EVERY: Duration = Duration::from_secs(10);
/// How often the provider is asked.
const RECONCILE_EVERY: Duration = Duration::from_mins(1);
/// Calls are compared for so long after they began.
const LOOK_BACK: TimeDelta = TimeDelta::hours(1);
/// A call that ended later than this ago may still be on its way into the rows.
const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(2);

/// What the comparison with the provider found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// The provider's ids of calls that no effect claims.
    pub unknown: Vec<String>,
    /// How many calls were made and not billed.
    pub unbilled: usize,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    #[error("rows cannot be read")]
    Storage(#[from] StorageError),
    #[error("the phone provider cannot be asked")]
    Port(#[from] PortError),
}

/// The bounds that this installation sets.
pub(crate) fn bounds(rules: &Rules) -> Bounds {
    Bounds { outcome_within: rules.outcome_within, ..Bounds::default() }
}

/// How each promise stood at the last look.
#[derive(Default)]
struct Standing(HashMap<String, i64>);

/// What is new about a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Broken,
    KeptAgain,
}

impl Standing {
    /// Every kind is shown from the start, with 0.
    fn of(kinds: &[&str]) -> Self {
        for kind in kinds {
            metrics::broken_promises(kind, 0);
        }
        Self::default()
    }

    fn note(&mut self, kind: &str, count: i64) -> Option<News> {
        metrics::broken_promises(kind, count);
        let before = self.0.insert(kind.to_owned(), count).unwrap_or(0);
        match (before, count) {
            (0, 1..) => Some(News::Broken),
            (1.., 0) => Some(News::KeptAgain),
            _ => None,
        }
    }

    /// `example`: an id to begin with.
    fn tell(&mut self, kind: &str, count: i64, example: Option<&str>) {
        match self.note(kind, count) {
            Some(News::Broken) => tracing::error!(promise.kind = kind, count, example, "a promise is broken"),
            Some(News::KeptAgain) => tracing::info!(promise.kind = kind, "the promise is kept again"),
            None => {}
        }
    }
}

impl Directory {
    async fn broken_promises(&self) -> Result<Vec<(String, i64)>, StorageError> {
        let world = self.world();
        world.store.system_read().await?.broken_promises(&bounds(&world.rules)).await
    }

    /// Compares what the provider did with what our rows say it should have done. One node does it for all; the others find
    /// no difference.
    pub(crate) async fn reconcile(&self) -> Result<Differences, WatchError> {
        let world = self.world();
        let (telephony, now) = (&world.ports.telephony, world.store.now());
        if !world.store.system_read().await?.is_first_node(&self.node().id).await? {
            return Ok(Differences::default());
        }
        let calls = telephony.calls_since(now - LOOK_BACK).await?;
        let made: Vec<_> = calls.iter().filter(|call| is_settled(call, telephony.number(), now)).collect();
        if made.is_empty() {
            return Ok(Differences::default());
        }
        let sids: Vec<_> = made.iter().map(|call| call.sid.as_str()).collect();
        let claimed = world.store.system_read().await?.claimed_calls(telephony.account(), &sids).await?;
        let unbilled = self.unbilled(&made, &claimed).await?;
        let claimed: HashSet<_> = claimed.iter().map(|call| call.sid.as_str()).collect();
        let unknown = sids.into_iter().filter(|sid| !claimed.contains(sid)).map(str::to_owned).collect();
        Ok(Differences { unknown, unbilled })
    }

    /// Only the projects whose calls somebody picked up are looked at.
    async fn unbilled(&self, made: &[&PlacedCall], claimed: &[ClaimedCall]) -> Result<usize, StorageError> {
        let (world, mut unbilled) = (self.world(), 0);
        let talked: HashSet<_> = made.iter().filter(|call| call.seconds > 0).map(|call| call.sid.as_str()).collect();
        let projects = claimed.iter().filter(|call| talked.contains(call.sid.as_str()));
        let projects: HashSet<_> = projects.map(|call| (call.org_id, call.project_id)).collect();
        for (org, project) in projects {
            let mut tx = world.store.tenant_read(org).await?;
            let broken = tx.broken_promises_of(project, &bounds(&world.rules)).await?;
            unbilled += broken.iter().filter(|promise| promise.kind == UNBILLED_CALL).count();
        }
        Ok(unbilled)
    }
}

/// Whether a call is one that we asked for, and over for long enough that our rows must know it.
fn is_settled(call: &PlacedCall, number: &str, now: DateTime<Utc>) -> bool {
    call.is_outbound_api && call.from == number && call.ended_at.is_some_and(|ended| ended <= now - SETTLED_AFTER)
}

pub(crate) async fn watch_forever(directory: Directory) {
    let (mut ticks, mut outage) = (ticks(WATCH_EVERY), Outage::of("watch over the promises"));
    let mut standing = Standing::of(&IN_ROWS);
    loop {
        ticks.tick().await;
        for (kind, count) in outage.told(directory.broken_promises().await).unwrap_or_default() {
            standing.tell(&kind, count, None);
        }
    }
}

pub(crate) async fn reconcile_forever(directory: Directory) {
    let mut standing = Standing::of(&[UNKNOWN_CALL, UNBILLED_CALL]);
    let mut outage = Outage::of("compare calls with the provider");
    tokio::time::sleep(offset(&directory.node().id, RECONCILE_EVERY)).await;
    let mut ticks = ticks(RECONCILE_EVERY);
    loop {
        ticks.tick().await;
        let differences = match directory.reconcile().await {
            Err(WatchError::Port(PortError::NotConfigured(_))) => Some(Differences::default()),
            found => outage.told(found),
        };
        if let Some(Differences { unknown, unbilled }) = differences {
            let count = |found: usize| i64::try_from(found).unwrap_or(i64::MAX);
            standing.tell(UNKNOWN_CALL, count(unknown.len()), unknown.first().map(String::as_str));
            standing.tell(UNBILLED_CALL, count(unbilled), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_told_when_it_breaks_and_when_it_is_kept_again() {
        let mut standing = Standing::of(&IN_ROWS);
        let news: Vec<_> = [0, 2, 3, 0, 0, 1].into_iter().map(|count| standing.note(CALLED_TWICE, count)).collect();
        assert_eq!(news, [None, Some(News::Broken), None, Some(News::KeptAgain), None, Some(News::Broken)]);
        assert_eq!(standing.note("stuck_ticket", 0), None);
    }

    #[test]
    fn only_our_own_calls_that_are_over_for_a_while_are_compared() {
        let now: DateTime<Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let call = PlacedCall {
            sid: "CA1".into(),
            from: "+6495550100".into(),
            is_outbound_api: true,
            seconds: 30,
            ended_at: Some(now - SETTLED_AFTER),
        };
        let is_compared = |call: &PlacedCall| is_settled(call, "+6495550100", now);
        assert!(is_compared(&call));
        assert!(!is_compared(&PlacedCall { ended_at: Some(now), ..call.clone() }));
        assert!(!is_compared(&PlacedCall { ended_at: None, ..call.clone() }));
        assert!(!is_compared(&PlacedCall { is_outbound_api: false, ..call.clone() }));
        assert!(!is_compared(&PlacedCall { from: "+6495550199".into(), ..call }));
    }
}
