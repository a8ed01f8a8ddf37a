//! What release and cancel share: which effects are meant, and the word that their actors are given.

use std::collections::HashMap;

use apex_storage::fault::{self, Fault};
use apex_storage::model::{EffectId, TicketId};
use apex_storage::{DecidedEffect, EffectFilter, EffectVerdict, TenantTx};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{EffectKind, read_to};
use crate::access::{self, Caller};
use crate::audit::Change;
use crate::error::ApiError;
use crate::idempotency::{Key, Turn};
use crate::state::AppState;

/// Most ids that one request names: each is a part of one statement.
const MOST_IDS: usize = 500;

/// Which effects are meant: those that every given field fits. At least one field.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChosenEffects {
    /// These, up to 500.
    #[schema(value_type = Option<Vec<Uuid>>)]
    ids: Option<Vec<EffectId>>,
    /// Of this project.
    project_id: Option<String>,
    /// Of this ticket.
    #[schema(value_type = Option<Uuid>)]
    ticket_id: Option<TicketId>,
    /// Of this kind.
    kind: Option<EffectKind>,
    /// In this state.
    state: Option<UnsentState>,
    /// To this number, in E.164.
    to: Option<String>,
    /// Intended before this time.
    created_before: Option<DateTime<Utc>>,
    /// Intended at this time or later.
    created_after: Option<DateTime<Utc>>,
}

/// The states in which a person decides.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnsentState {
    /// Not sent.
    Intended,
    /// Sent perhaps, and set aside.
    Held,
}

/// The effects that were decided about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Decided {
    count: usize,
    data: Vec<DecidedBody>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecidedBody {
    id: Uuid,
    /// Whose actor acts on it.
    ticket_id: Uuid,
}

impl Decided {
    fn of(effects: &[DecidedEffect]) -> Self {
        let body = |effect: &DecidedEffect| DecidedBody { id: effect.id.0, ticket_id: effect.ticket_id.0 };
        Self { count: effects.len(), data: effects.iter().map(body).collect() }
    }
}

impl ChosenEffects {
    async fn filter(&self, tx: &mut TenantTx) -> Result<EffectFilter, ApiError> {
        self.check()?;
        Ok(EffectFilter {
            ids: self.ids.clone(),
            project_id: access::narrowed(tx, self.project_id.as_deref()).await?,
            ticket_id: self.ticket_id,
            kind: self.kind.map(|kind| kind.as_str().to_owned()),
            state: self.state.map(|state| match state {
                UnsentState::Intended => "intended".to_owned(),
                UnsentState::Held => "held".to_owned(),
            }),
            to: read_to(self.to.as_deref())?,
            created_before: self.created_before,
            created_after: self.created_after,
            ..EffectFilter::default()
        })
    }

    /// All effects of an organisation are never meant by leaving everything out.
    fn check(&self) -> Result<(), ApiError> {
        let Self { ids, project_id, ticket_id, kind, state, to, created_before, created_after } = self;
        if ids.as_ref().is_some_and(|ids| !(1..=MOST_IDS).contains(&ids.len())) {
            return Err(ApiError::invalid("ids", format!("must name 1 to {MOST_IDS} effects")));
        }
        let is_narrowed = ids.is_some()
            || ticket_id.is_some()
            || project_id.is_some()
            || kind.is_some()
            || state.is_some()
            || to.is_some()
            || created_before.is_some()
            || created_after.is_some();
        if is_narrowed {
            return Ok(());
        }
        let fields = "ids, project_id, ticket_id, kind, state, to, created_before, created_after";
        Err(ApiError::invalid("body", format!("must have at least one of {fields}")))
    }
}

/// Gives every chosen effect this word, and tells the actors.
pub(super) async fn decide(
    app: &AppState,
    caller: &Caller,
    key: Key,
    verdict: EffectVerdict,
    chosen: &ChosenEffects,
) -> Result<Value, ApiError> {
    let (route, action) = match verdict {
        EffectVerdict::Release => ("POST /api/v1/effects/release", "effect.release"),
        EffectVerdict::Cancel => ("POST /api/v1/effects/cancel", "effect.cancel"),
    };
    let mut tx = app.store().tenant(caller.org).await?;
    let filter = chosen.filter(&mut tx).await?;
    let taken = match Turn::of(&mut tx, route, key, chosen).await? {
        Turn::Again(answer) => return Ok(answer),
        Turn::First(taken) => taken,
    };
    let decided = tx.decide_effects(&filter, verdict, &caller.user.to_string()).await?;
    for effect in &decided {
        let after = json!({ "verdict": verdict.as_str(), "ticket_id": effect.ticket_id });
        Change::new(action, "effect", effect.id.0).after(after).tell(&mut tx, caller).await?;
    }
    let answer = json!(Decided::of(&decided));
    taken.keep(&mut tx, 200, &answer).await?;
    tx.commit().await?;
    fault::pass(Fault::EffectDecided).await;
    let tickets: HashMap<_, _> = decided.iter().map(|effect| (effect.ticket_id, effect)).collect();
    for (ticket, effect) in tickets {
        app.directory().nudge(caller.org, effect.project_id, ticket, &effect.actor);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(body: &Value) -> ChosenEffects {
        serde_json::from_value(body.clone()).unwrap()
    }

    #[test]
    fn nothing_is_chosen_by_leaving_everything_out() {
        assert_eq!(chosen(&json!({})).check().unwrap_err().code(), "invalid");
        assert_eq!(chosen(&json!({ "ids": [] })).check().unwrap_err().code(), "invalid");
        for body in [
            json!({ "ids": [EffectId::new()] }),
            json!({ "project_id": "kereru" }),
            json!({ "ticket_id": TicketId::new() }),
            json!({ "kind": "sms" }),
            json!({ "state": "held" }),
            json!({ "to": "+64275559002" }),
            json!({ "created_before": "2026-01-01T00:00:00Z" }),
            json!({ "created_after": "2026-01-01T00:00:00Z" }),
        ] {
            assert!(chosen(&body).check().is_ok(), "{body}");
        }
    }

    #[test]
    fn what_has_left_cannot_be_chosen() {
        for state in ["live", "sending", "unknown", "refused"] {
            assert!(serde_json::from_value::<ChosenEffects>(json!({ "state": state })).is_err(), "{state}");
        }
    }
}
