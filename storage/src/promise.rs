//! Promises that can be seen to be broken in the rows: one set of rules, counted for the house and listed for a project.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::error::StorageError;
use crate::model::ProjectId;
use crate::sql::sql;
use crate::system::SystemTx;
use crate::tenant::TenantTx;

/// How long each thing may take until a promise is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From accepting a lead to its call's outcome.
    pub outcome_within: Duration,
    /// From a ticket's due time until an actor takes it up.
    pub taken_up_within: Duration,
    /// From sending until it is clear whether it happened.
    pub clear_within: Duration,
    /// From a call ticket's end until its minutes are in the ledger.
    pub billed_within: Duration,
    /// For how long a call that was made is looked at again.
    pub looked_back: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            outcome_within: Duration::from_mins(30),
            taken_up_within: Duration::from_mins(5),
            clear_within: Duration::from_mins(5),
            billed_within: Duration::from_mins(5),
            looked_back: Duration::from_hours(24),
        }
    }
}

/// One promise that is broken.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct BrokenPromise {
    /// Which promise: the name that the counts have too, or `unbilled_call`.
    pub kind: String,
    /// What breaks it: a ticket, a bridge (`called_twice`), an effect or a dead letter.
    pub ref_id: Uuid,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// The time so long ago.
fn ago(now: DateTime<Utc>, bound: Duration) -> DateTime<Utc> {
    let bound = TimeDelta::from_std(bound).unwrap_or(TimeDelta::MAX);
    now.checked_sub_signed(bound).map_or(DateTime::UNIX_EPOCH, |time| time.max(DateTime::UNIX_EPOCH))
}

impl SystemTx {
    /// How often each promise is broken now, of all tenants together; kept promises are counted as 0. `unbilled_call` is
    /// missing here: whoever sees all tenants sees no ledger.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn broken_promises(&mut self, bounds: &Bounds) -> Result<Vec<(String, i64)>, StorageError> {
        // The long lists of states are the open index's own condition: SQLite takes an index only at its word.
        let counts = sql!(
            "select 'lead_without_outcome' as kind, count(*) as broken from tickets
              where actor = 'call' and lead_id is not null and due_at is not null and created_at < $1
             union all
             select 'called_twice', count(distinct e.bridge_id) from effects e
              where e.kind = 'call' and e.state = 'live' and e.created_at >= $2
                and exists (select 1 from effects o where o.bridge_id = e.bridge_id and o.id <> e.id
                                                      and o.kind = 'call' and o.state = 'live')
             union all
             select 'stuck_ticket', count(*) from tickets where due_at < $3
             union all
             select 'held_effect', count(*) from effects e join tickets t on t.id = e.ticket_id
              where e.state in ('intended', 'sending', 'unknown', 'held') and e.state = 'held' and t.due_at is not null
             union all
             select 'unclear_effect', count(*) from effects
              where state in ('intended', 'sending', 'unknown', 'held') and state in ('sending', 'unknown')
                and coalesce(sent_at, created_at) < $4
             union all
             select 'dead_letter', count(*) from dead_letters where archived_at is null and replayed_at is null"
        );
        let now = self.now();
        self.query(counts)
            .bind(ago(now, bounds.outcome_within))
            .bind(ago(now, bounds.looked_back))
            .bind(ago(now, bounds.taken_up_within))
            .bind(ago(now, bounds.clear_within))
            .all()
            .await
    }
}

impl TenantTx {
    /// The promises that are broken in a project now, the longest broken first; at most 100.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn broken_promises_of(
        &mut self,
        project: ProjectId,
        bounds: &Bounds,
    ) -> Result<Vec<BrokenPromise>, StorageError> {
        let broken = sql!(
            "select kind, ref_id, since from (
             select 'lead_without_outcome' as kind, id as ref_id, created_at as since from tickets
              where org_id = $1 and project_id = $2 and actor = 'call' and lead_id is not null and due_at is not null
                and created_at < $3
             union all
             select 'called_twice', e.bridge_id, max(e.created_at) from effects e
              where e.org_id = $1 and e.project_id = $2 and e.kind = 'call' and e.state = 'live' and e.created_at >= $4
                and exists (select 1 from effects o where o.org_id = $1 and o.bridge_id = e.bridge_id and o.id <> e.id
                                                      and o.kind = 'call' and o.state = 'live')
              group by e.bridge_id
             union all
             select 'stuck_ticket', id, due_at from tickets where org_id = $1 and project_id = $2 and due_at < $5
             union all
             select 'held_effect', e.id, e.updated_at from effects e join tickets t on t.id = e.ticket_id
              where e.org_id = $1 and e.project_id = $2 and t.org_id = $1 and t.due_at is not null
                and e.state in ('intended', 'sending', 'unknown', 'held') and e.state = 'held'
             union all
             select 'unclear_effect', id, coalesce(sent_at, created_at) from effects
              where org_id = $1 and project_id = $2 and coalesce(sent_at, created_at) < $6
                and state in ('intended', 'sending', 'unknown', 'held') and state in ('sending', 'unknown')
             union all
             select 'unbilled_call', e.id, t.updated_at from effects e
               join tickets t on t.id = e.ticket_id and t.org_id = $1
               join ticket_events j on j.ticket_id = t.id and j.org_id = $1 and j.kind = 'step' and j.step = 'close'
              where e.org_id = $1 and e.project_id = $2 and e.kind = 'call' and e.state = 'live' and e.created_at >= $4
                and t.due_at is null and t.updated_at < $7 and"
            pg "(j.data ->> 'billed_minutes')::bigint > 0" lite "j.data ->> 'billed_minutes' > 0"
            "   and not exists (select 1 from usage_ledger u where u.org_id = $1 and u.project_id = e.project_id
                                                               and u.key = 'call:' || e.sid)
             union all
             select 'dead_letter', id, at from dead_letters
              where org_id = $1 and project_id = $2 and archived_at is null and replayed_at is null
             ) broken order by since, ref_id limit 100"
        );
        let now = self.now();
        self.query(broken)
            .bind(project)
            .bind(ago(now, bounds.outcome_within))
            .bind(ago(now, bounds.looked_back))
            .bind(ago(now, bounds.taken_up_within))
            .bind(ago(now, bounds.clear_within))
            .bind(ago(now, bounds.billed_within))
            .all()
            .await
    }
}
