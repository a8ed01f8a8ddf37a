//! Effects: what leaves the house. The intent is committed first, and an unclear answer is never repeated blindly.

mod verdict;

use chrono::{DateTime, Utc};

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::phone::Phone;
use crate::model::{BridgeId, EffectId, ProjectId, TicketId};
use crate::sql::sql;
use crate::tenant::TenantTx;

pub use verdict::{DecidedEffect, EffectFilter, EffectVerdict};

/// A call or a message.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Effect {
    /// The effect; callback addresses carry it.
    pub id: EffectId,
    /// Its project.
    pub project_id: ProjectId,
    /// The bridge it belongs to.
    pub bridge_id: Option<BridgeId>,
    /// The ticket that wants it.
    pub ticket_id: TicketId,
    /// call, sms, charge or publish.
    pub kind: String,
    /// Unique in the project: the same intent is the same row.
    pub key: String,
    /// The provider account it goes through.
    pub account: Option<String>,
    /// Where it goes.
    pub to_number: Option<Phone>,
    /// What it goes out as.
    pub from_number: Option<String>,
    /// What a message says.
    pub body: Option<String>,
    /// The provider's id, once known.
    pub sid: Option<String>,
    /// intended, sending, live, refused, unknown or held.
    pub state: String,
    /// Why it was refused or is held.
    pub reason: Option<String>,
    /// The node that sent it.
    pub sender: Option<String>,
    /// The fence under which it was sent.
    pub sender_fence: Option<i64>,
    /// When it was sent.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was intended.
    pub created_at: DateTime<Utc>,
    /// What a person wants done with it: release or cancel.
    pub verdict: Option<String>,
    /// Who wants it.
    pub verdict_by: Option<String>,
    /// Since when.
    pub verdict_at: Option<DateTime<Utc>>,
}

/// An effect to intend.
#[derive(Clone, Debug)]
pub struct NewEffect<'a> {
    /// The effect.
    pub id: EffectId,
    /// The bridge it belongs to.
    pub bridge_id: Option<BridgeId>,
    /// The ticket that wants it.
    pub ticket_id: TicketId,
    /// call or sms.
    pub kind: &'a str,
    /// Unique in the project.
    pub key: &'a str,
    /// The provider account it goes through.
    pub account: &'a str,
    /// Where it goes.
    pub to_number: &'a Phone,
    /// What it goes out as.
    pub from_number: &'a str,
    /// What a message says.
    pub body: Option<&'a str>,
}

impl TenantTx {
    /// The effect.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn effect(&mut self, id: EffectId) -> Result<Option<Effect>, StorageError> {
        self.query(EFFECT).push(" and id = $?").bind(id).optional().await
    }

    /// The effects of a ticket, oldest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn effects_of_ticket(&mut self, ticket: TicketId) -> Result<Vec<Effect>, StorageError> {
        self.query(EFFECT).push(" and ticket_id = $? order by created_at, id").bind(ticket).all().await
    }

    /// Whether a provider's id belongs to another effect of the tenant: one that is bound to it, or that a callback named.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn sid_is_of_another(&mut self, sid: &str, effect: EffectId) -> Result<bool, StorageError> {
        let taken: Option<(EffectId,)> = self
            .query(sql!(
                "select id from effects where org_id = $1 and sid = $2 and id <> $3
                 union all select effect_id from call_inbox where org_id = $1 and sid = $2 and effect_id <> $3 limit 1"
            ))
            .bind(sid)
            .bind(effect)
            .optional()
            .await?;
        Ok(taken.is_some())
    }

    /// The state of another call or message of the tenant to the same number that may have happened, as far as anybody
    /// knows: sending or unknown, else held. While there is one, a list at the provider does not tell whose an id is.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn unclear_neighbour(&mut self, effect: &Effect) -> Result<Option<String>, StorageError> {
        let other: Option<(String,)> = self
            .query(sql!(
                "select state from effects
                  where org_id = $1 and account = $2 and to_number = $3 and kind = $4 and id <> $5
                    and state in ('sending', 'unknown', 'held') order by state desc limit 1"
            ))
            .bind(effect.account.as_deref())
            .bind(effect.to_number.clone())
            .bind(effect.kind.as_str())
            .bind(effect.id)
            .optional()
            .await?;
        Ok(other.map(|(state,)| state))
    }
}

const EFFECT: crate::sql::Sql = sql!(
    "select id, project_id, bridge_id, ticket_id, kind, key, account, to_number, from_number, body, sid, state, reason,
            sender, sender_fence, sent_at, created_at, verdict, verdict_by, verdict_at
       from effects where org_id = $1"
);

impl FencedTx {
    /// Intends an effect. `false`: this intent exists already.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn intend(&mut self, new: &NewEffect<'_>) -> Result<bool, StorageError> {
        let (project, now) = (self.project_id(), self.now());
        let intend = sql!(
            "insert into effects (org_id, id, project_id, bridge_id, ticket_id, kind, key, account, to_number, from_number,
                                  body, state, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'intended', $12, $12)
             on conflict (project_id, key) do nothing"
        );
        let rows = self
            .query(intend)
            .bind(new.id)
            .bind(project)
            .bind(new.bridge_id)
            .bind(new.ticket_id)
            .bind(new.kind)
            .bind(new.key)
            .bind(new.account)
            .bind(new.to_number.clone())
            .bind(new.from_number)
            .bind(new.body)
            .bind(now)
            .execute()
            .await?;
        Ok(rows == 1)
    }

    /// Marks an effect as being sent, in a commit before the first byte. `Ok(false)`: nothing is written, since it is not
    /// intended any more, or another one to the number is still unclear and this one has to wait.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn mark_sending(mut self, id: EffectId) -> Result<bool, StorageError> {
        let (node, fence, now) = (self.lease().node.clone(), self.lease().fence, self.now());
        let sending = sql!(
            "update effects set state = 'sending', sender = $3, sender_fence = $4, sent_at = $5, updated_at = $5
              where org_id = $1 and id = $2 and state = 'intended' and coalesce(verdict, '') <> 'cancel'"
        );
        let sent = self.query(sending).bind(id).bind(node).bind(fence).bind(now).execute().await;
        match sent {
            Ok(1) => {
                self.commit().await?;
                Ok(true)
            }
            Ok(_) => Ok(false),
            Err(error) if error.is_unique_violation() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Binds the provider's id, also by a late callback of an effect that was given up or is to be sent again. `false`:
    /// the effect has another id, or another effect has this one; the transaction is then of no further use.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn mark_live(&mut self, id: EffectId, sid: &str) -> Result<bool, StorageError> {
        let now = self.now();
        let live = sql!(
            "update effects set state = 'live', sid = $3, reason = null, sender = coalesce(sender, $5), updated_at = $4
              where org_id = $1 and id = $2 and coalesce(sid, $3) = $3 and state <> 'refused'"
        );
        let node = self.lease().node.clone();
        match self.query(live).bind(id).bind(sid).bind(now).bind(node).execute().await {
            Ok(rows) => Ok(rows == 1),
            Err(error) if error.is_unique_violation() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The provider said no, or the effect is not wanted any more.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn mark_refused(&mut self, id: EffectId, reason: &str) -> Result<(), StorageError> {
        let (now, node) = (self.now(), self.lease().node.clone());
        let refused = sql!(
            "update effects set state = 'refused', reason = $3, sender = coalesce(sender, $5), updated_at = $4
              where org_id = $1 and id = $2 and state in ('intended', 'sending', 'unknown', 'held')"
        );
        self.query(refused).bind(id).bind(reason).bind(now).bind(node).execute().await.map(drop)
    }

    /// The answer is unclear.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn mark_unknown(&mut self, id: EffectId) -> Result<(), StorageError> {
        let now = self.now();
        let unknown = sql!(
            "update effects set state = 'unknown', updated_at = $3 where org_id = $1 and id = $2 and state = 'sending'"
        );
        self.query(unknown).bind(id).bind(now).execute().await.map(drop)
    }

    /// Sets an unclear effect aside for a callback or a person.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn mark_held(&mut self, id: EffectId, reason: &str) -> Result<(), StorageError> {
        let now = self.now();
        let held = sql!(
            "update effects set state = 'held', reason = $3, verdict = null, updated_at = $4
              where org_id = $1 and id = $2 and state = 'unknown'"
        );
        self.query(held).bind(id).bind(reason).bind(now).execute().await.map(drop)
    }

    /// Makes an effect sendable again: it certainly did not happen.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn intend_again(&mut self, id: EffectId) -> Result<(), StorageError> {
        let now = self.now();
        let again = sql!(
            "update effects set state = 'intended', sender = null, sender_fence = null, sent_at = null, updated_at = $3
              where org_id = $1 and id = $2 and state in ('sending', 'unknown', 'held') and sid is null"
        );
        self.query(again).bind(id).bind(now).execute().await.map(drop)
    }
}
