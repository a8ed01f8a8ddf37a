//! Effects as a person sees them: listed by filter, and released or cancelled. The verdict is a column; the ticket's own actor
//! acts on it, so that a ticket keeps its one writer.

use chrono::{DateTime, Utc};

use super::{EFFECT, Effect};
use crate::error::StorageError;
use crate::model::{EffectId, ProjectId, TicketId};
use crate::sql::{Query, sql};
use crate::tenant::TenantTx;

/// Which effects are meant. Everything that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct EffectFilter {
    /// Exactly these.
    pub ids: Option<Vec<EffectId>>,
    /// Of this project.
    pub project_id: Option<ProjectId>,
    /// Of this ticket.
    pub ticket_id: Option<TicketId>,
    /// call or sms.
    pub kind: Option<String>,
    /// In this state.
    pub state: Option<String>,
    /// To this number, E.164.
    pub to: Option<String>,
    /// Intended before.
    pub created_before: Option<DateTime<Utc>>,
    /// Intended since.
    pub created_after: Option<DateTime<Utc>>,
    /// Only older than this one; for pages of a list.
    pub after: Option<(DateTime<Utc>, EffectId)>,
    /// At most so many; for pages of a list.
    pub limit: i64,
}

/// What a person wants done with effects that have not left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectVerdict {
    /// Send it, also when everything is held, and again when it is held as unclear.
    Release,
    /// Never send it.
    Cancel,
}

impl EffectVerdict {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }
}

/// An effect that a verdict was passed on. Its ticket's actor has to be nudged after the commit.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DecidedEffect {
    /// The effect.
    pub id: EffectId,
    /// Its ticket.
    pub ticket_id: TicketId,
    /// Its project.
    pub project_id: ProjectId,
    /// Which kind of actor writes the ticket.
    pub actor: String,
}

impl TenantTx {
    /// A page of effects, the newest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn effects(&mut self, filter: &EffectFilter) -> Result<Vec<Effect>, StorageError> {
        let query = matching(self.query(EFFECT), filter);
        let query = match filter.after {
            Some((at, id)) => query.push(" and (created_at, id) < ($?, $?)").bind(at).bind(id),
            None => query,
        };
        query.push(" order by created_at desc, id desc limit $?").bind(filter.limit).all().await
    }

    /// Passes a verdict on the effects that fit, that have not left, and whose tickets are not over; those tickets are due
    /// at once.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn decide_effects(
        &mut self,
        filter: &EffectFilter,
        verdict: EffectVerdict,
        by: &str,
    ) -> Result<Vec<DecidedEffect>, StorageError> {
        let now = self.now();
        let decide = sql!(
            "update effects set verdict = $2, verdict_by = $3, verdict_at = $4, updated_at = $4
              where org_id = $1 and state in ('intended', 'held')
                and exists (select 1 from tickets t where t.id = effects.ticket_id and t.due_at is not null)"
        );
        let query = self.query(decide).bind(verdict.as_str()).bind(by).bind(now);
        let returning = " returning id, ticket_id, project_id,
              (select t.actor from tickets t where t.id = effects.ticket_id) as actor";
        let decided: Vec<DecidedEffect> = matching(query, filter).push(returning).all().await?;
        if !decided.is_empty() {
            let wake = sql!(
                "update tickets set wake = wake + 1, due_at = case when due_at > $2 then $2 else due_at end
                  where org_id = $1 and due_at is not null
                    and id in (select e.ticket_id from effects e where e.org_id = $1 and e.verdict_at = $2)"
            );
            self.query(wake).bind(now).execute().await?;
        }
        Ok(decided)
    }
}

fn matching<'q>(query: Query<'q>, filter: &EffectFilter) -> Query<'q> {
    let query = query
        .and(" and project_id = $?", filter.project_id)
        .and(" and ticket_id = $?", filter.ticket_id)
        .and(" and kind = $?", filter.kind.as_deref())
        .and(" and state = $?", filter.state.as_deref())
        .and(" and to_number = $?", filter.to.as_deref())
        .and(" and created_at < $?", filter.created_before)
        .and(" and created_at >= $?", filter.created_after);
    let Some(ids) = &filter.ids else { return query };
    let listed = ids.iter().fold(query.push(" and (1 = 0"), |query, id| query.push(" or id = $?").bind(*id));
    listed.push(")")
}
