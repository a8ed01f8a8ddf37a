//! The transaction of the house itself: placement, sweeps and the event relay. It sees ids, states and times only.

use chrono::{DateTime, TimeDelta, Utc};

use crate::database::{Role, Store};
use crate::error::StorageError;
use crate::model::{EventId, OrgId, ProjectId, TicketId};
use crate::sql::{Conn, Query, Sql, sql};

/// The clocks of nodes may differ by so much.
const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::seconds(5);

/// A transaction without a tenant. Dropped without `commit` it is rolled back.
#[must_use]
pub struct SystemTx {
    conn: Conn,
    now: DateTime<Utc>,
}

/// A ticket that wants its actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::FromRow)]
pub struct DueTicket {
    /// The ticket.
    pub id: TicketId,
    /// Its tenant.
    pub org_id: OrgId,
    /// Its project.
    pub project_id: ProjectId,
    /// Which kind of actor writes it: "call" or the name of another.
    pub actor: String,
}

impl Store {
    /// Begins a transaction of the house.
    ///
    /// # Errors
    ///
    /// `Database` when no connection is free or the server does not answer.
    pub async fn system(&self) -> Result<SystemTx, StorageError> {
        Ok(SystemTx { conn: self.begin(Role::Worker, None).await?, now: self.now() })
    }

    /// The same for transactions that only read.
    ///
    /// # Errors
    ///
    /// `Database` when no connection is free or the server does not answer.
    pub async fn system_read(&self) -> Result<SystemTx, StorageError> {
        Ok(SystemTx { conn: self.begin_read(Role::Worker, None).await?, now: self.now() })
    }
}

impl SystemTx {
    /// Makes it true.
    ///
    /// # Errors
    ///
    /// `Database`: whether it was committed is then unknown.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.conn.commit().await
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(crate) fn query(&mut self, sql: Sql) -> Query<'_> {
        self.conn.query(sql)
    }

    /// Due tickets whose project this node owns.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn due_here(&mut self, node: &str, limit: i64) -> Result<Vec<DueTicket>, StorageError> {
        let due = sql!(
            "select t.id, t.org_id, t.project_id, t.actor from tickets t join placement p on p.key = 'project:' ||"
            pg "t.project_id" lite "lower(substr(hex(t.project_id), 1, 8) || '-' || substr(hex(t.project_id), 9, 4) || '-' ||
                substr(hex(t.project_id), 13, 4) || '-' || substr(hex(t.project_id), 17, 4) || '-' || substr(hex(t.project_id), 21))"
            "where t.due_at <= $1 and p.node_id = $2 order by t.due_at, t.id limit $3"
        );
        let now = self.now;
        self.query(due).bind(now).bind(node).bind(limit).all().await
    }

    /// Tickets whose project nobody living owns, when they are due or were in hand when their owner died. A query of its
    /// own: one limit for both would hide orphans behind a living owner's backlog.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn due_orphans(&mut self, limit: i64) -> Result<Vec<DueTicket>, StorageError> {
        let due = sql!(
            "select t.id, t.org_id, t.project_id, t.actor from tickets t left join placement p on p.key = 'project:' ||"
            pg "t.project_id" lite "lower(substr(hex(t.project_id), 1, 8) || '-' || substr(hex(t.project_id), 9, 4) || '-' ||
                substr(hex(t.project_id), 13, 4) || '-' || substr(hex(t.project_id), 17, 4) || '-' || substr(hex(t.project_id), 21))"
            "left join node n on n.id = p.node_id where (t.due_at <= $1 or t.in_hand is not null) and n.id is null order by t.due_at, t.id limit $2"
        );
        let now = self.now;
        self.query(due).bind(now).bind(limit).all().await
    }

    /// Unfinished tickets that were laid down later than now: the clock has gone back since, and what they wait for lies too
    /// far ahead.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn misdated(&mut self, limit: i64) -> Result<Vec<DueTicket>, StorageError> {
        let misdated = sql!(
            "select id, org_id, project_id, actor from tickets where due_at > $1 and updated_at > $1 order by due_at, id limit $2"
        );
        let ahead = self.now + CLOCKS_DIFFER_BY;
        self.query(misdated).bind(ahead).bind(limit).all().await
    }

    /// Tickets with a callback that nobody has looked at since the given time, each once: their nudge was lost.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn unread_callbacks(
        &mut self,
        before: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<DueTicket>, StorageError> {
        let unread = sql!(
            "select i.ticket_id as id, i.org_id, i.project_id, coalesce(t.actor, 'call') as actor
               from call_inbox i left join tickets t on t.id = i.ticket_id
              where i.handled_at is null and i.received_at <= $1
              group by i.ticket_id, i.org_id, i.project_id, t.actor order by min(i.received_at) limit $2"
        );
        self.query(unread).bind(before).bind(limit).all().await
    }

    /// Tenants with something that has not left and may still: its ticket is unfinished.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn orgs_with_open_effects(&mut self) -> Result<Vec<OrgId>, StorageError> {
        let open = sql!(
            "select distinct e.org_id from effects e join tickets t on t.id = e.ticket_id
              where e.state in ('intended', 'sending', 'unknown', 'held') and t.due_at is not null order by e.org_id"
        );
        let rows: Vec<(OrgId,)> = self.query(open).all().await?;
        Ok(rows.into_iter().map(|(org,)| org).collect())
    }

    /// Whether events wait for their place in the feed: asked first, since numbering writes.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn has_new_events(&mut self) -> Result<bool, StorageError> {
        let new: Option<(EventId,)> =
            self.query(sql!("select id from events where position is null order by at, id limit 1")).optional().await?;
        Ok(new.is_some())
    }

    /// Gives committed events their place in the feed. Run by one node at a time.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn number_events(&mut self, limit: i64) -> Result<u64, StorageError> {
        let number = sql!(
            "update events set position = x.position
               from (select u.id as event_id, (select coalesce(max(position), 0) from events)
                            + row_number() over (order by u.at, u.id) as position
                       from (select id, at from events where position is null order by at, id limit $1) u) x
              where events.id = x.event_id"
        );
        self.query(number).bind(limit).execute().await
    }
}
