//! What both lead webhooks do: find the project, check the secret, commit, nudge, answer.

use std::time::Instant;

use apex_storage::model::{LeadSource, TicketId};
use apex_storage::{LeadIntake, Route, Store};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::fields::FormFields;
use crate::auth::token;
use crate::error::ApiError;
use crate::metrics::providers as metrics;
use crate::state::AppState;

/// The task of a lead's ticket, and the kind of actor that writes it.
const TASK: (&str, &str) = ("sales_agent", "call");
/// Longest id of a sender that is kept as it is, bytes: an index row of the database has its limit.
const MAX_ID: usize = 255;

/// Where the lead's progress can be followed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeadReceipt {
    /// Always `true`.
    pub ok: bool,
    /// `processing`: the work goes on in the background.
    pub status: &'static str,
    /// What to ask for.
    pub data: LeadReceiptData,
    /// For people.
    pub message: &'static str,
    /// When it was accepted.
    pub timestamp: DateTime<Utc>,
}

/// What to ask for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeadReceiptData {
    /// Asked about at `/context/{id}`; the same lead has the same one.
    #[schema(value_type = uuid::Uuid)]
    pub context_id: TicketId,
    /// What is being done.
    pub task: &'static str,
}

/// A lead that was proved and read.
pub(super) struct Received {
    pub source: LeadSource,
    pub external_id: String,
    pub fields: FormFields,
    pub is_test: bool,
}

/// The project behind a public name.
pub(super) async fn project(store: &Store, kind: &str, slug: Option<&str>) -> Result<Route, ApiError> {
    let unknown = || ApiError::not_found("project");
    store.route(kind, slug.ok_or_else(unknown)?).await?.ok_or_else(unknown)
}

/// Whether the secret opens the route. Hashes are compared, in constant time.
pub(super) fn opens(route: &Route, secret: Option<&str>) -> bool {
    let (Some(kept), Some(secret)) = (&route.secret_hash, secret) else { return false };
    token::hash(secret).ct_eq(kept.as_slice()).into()
}

/// The sender's id, or its hash when it is too long to be a key.
pub(super) fn key(id: String) -> String {
    if id.len() <= MAX_ID { id } else { hashed(id.as_bytes()) }
}

/// What names something that brought no name.
pub(super) fn hashed(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Commits the lead and wakes its project. `begun`: when the request came.
pub(super) async fn accept(
    state: &AppState,
    route: &Route,
    lead: Received,
    begun: Instant,
) -> Result<LeadReceipt, ApiError> {
    let source = lead.source;
    let accepted = state.intake().accept(intake(route, lead)).await?;
    if accepted.is_new {
        metrics::lead_accepted(source, state.store().clock().monotonic() - begun);
    }
    state.directory().nudge(route.org_id, route.project_id, accepted.ticket, TASK.1);
    Ok(LeadReceipt {
        ok: true,
        status: "processing",
        data: LeadReceiptData { context_id: accepted.ticket, task: TASK.0 },
        message: "Task 'sales_agent' is processing in background",
        timestamp: state.now(),
    })
}

fn intake(route: &Route, lead: Received) -> LeadIntake {
    let Received { source, external_id, fields, is_test } = lead;
    LeadIntake {
        org: route.org_id,
        project: route.project_id,
        source,
        external_id,
        name: called(&fields),
        phone_raw: fields.phone,
        email: fields.email,
        message: fields.message,
        answers: fields.answers.into(),
        raw: fields.raw,
        is_test,
        task: TASK.0,
        actor: TASK.1,
    }
}

/// What the person is called: whoever leaves no name is called by what they left.
fn called(fields: &FormFields) -> String {
    let known = [&fields.name, &fields.email, &fields.phone];
    known.into_iter().flatten().next().cloned().unwrap_or_else(|| "Somebody".to_owned())
}

#[cfg(test)]
mod tests {
    use apex_storage::model::{OrgId, ProjectId};

    use super::*;

    fn route(secret_hash: Option<Vec<u8>>) -> Route {
        Route { org_id: OrgId::new(), project_id: ProjectId::new(), secret_hash }
    }

    #[test]
    fn only_the_right_secret_opens_a_route() {
        let locked = route(Some(token::hash("kereru").to_vec()));
        assert!(opens(&locked, Some("kereru")));
        for wrong in [Some("moa"), Some(""), None] {
            assert!(!opens(&locked, wrong), "{wrong:?}");
        }
        assert!(!opens(&route(None), Some("kereru")), "a route without a secret is not open to everybody");
    }

    #[test]
    fn whoever_leaves_no_name_is_called_by_what_they_left() {
        let phone = Some("027 555 9001".to_owned());
        let mut fields = FormFields { phone, ..FormFields::default() };
        assert_eq!(called(&fields), "027 555 9001");
        fields.email = Some("m@example.org".into());
        assert_eq!(called(&fields), "m@example.org");
        assert_eq!(called(&FormFields::default()), "Somebody");
    }

    #[test]
    fn an_id_that_is_too_long_for_a_key_is_hashed() {
        assert_eq!(key("Cj0KEQiA".into()), "Cj0KEQiA");
        let long = key("x".repeat(5000));
        assert!(long.starts_with("sha256:") && long.len() == 71);
        assert_ne!(long, key("y".repeat(5000)));
    }
}
