//! The accountant: writes what was used, and says what was spent and whether that is within the month's limit.
//!
//! It remembers nothing: the ledger and the project's DNA are read again for each answer. So no failure but a fence ends it.

mod month;

use apex_config::dna::{self, Dna};
use apex_config::prices::{Resource, dollars};
use apex_storage::fault::{self, Fault};
use apex_storage::{Spend, StorageError, TenantTx, UsageEntry};
use chrono::{DateTime, Utc};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{ActorError, Refusal};
use crate::metrics::{self, Handling};
use crate::project::{ChildArgs, Envelope};
use crate::request::Request;
use month::{month_start, standing};

/// Unfinished tickets of a kind are counted up to here.
const COUNTED: i64 = 1000;

pub(crate) struct AccountantActor;

/// Nothing but what it was started with.
pub(crate) struct AccountantState(ChildArgs);

impl Actor for AccountantActor {
    type Msg = Envelope;
    type State = AccountantState;
    type Arguments = ChildArgs;

    async fn pre_start(&self, _: ActorRef<Envelope>, args: ChildArgs) -> Result<AccountantState, ActorProcessingErr> {
        Ok(AccountantState(args))
    }

    async fn handle(
        &self,
        _: ActorRef<Envelope>,
        envelope: Envelope,
        state: &mut AccountantState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = Handling::of("accountant", envelope.request.name());
        fault::pass(Fault::AccountantHandle).await;
        let answer = Box::pin(state.answer(&envelope.request)).await;
        let fenced = matches!(answer, Err(ActorError::Storage(StorageError::Fenced)));
        envelope.answer(answer);
        if fenced { Err(StorageError::Fenced.into()) } else { Ok(()) }
    }
}

/// A month of one project: what was spent and what may be.
struct Month {
    spent: Vec<Spend>,
    limit_micros: i64,
    since: DateTime<Utc>,
}

impl AccountantState {
    async fn answer(&self, request: &Request) -> Result<Value, ActorError> {
        match request {
            Request::LogUsage { resource, quantity_milli, key } => {
                self.log_usage(resource, *quantity_milli, key.as_deref()).await
            }
            Request::Usage => self.usage().await,
            Request::DashboardStats => self.dashboard().await,
            Request::HealthCheck | Request::Hunt { .. } => Err(ActorError::Unavailable),
        }
    }

    /// The same key twice is charged once; both answers tell the same use.
    async fn log_usage(&self, resource: &str, quantity_milli: i64, key: Option<&str>) -> Result<Value, ActorError> {
        let (resource, micros) = self.price(resource, quantity_milli)?;
        let key = key.map_or_else(|| format!("log:{}", Uuid::now_v7()), |key| format!("log:{key}"));
        let ChildArgs { world, lease, .. } = &self.0;
        let mut tx = world.store.fenced(lease).await?;
        let entry = UsageEntry { key: &key, resource: resource.as_str(), quantity_milli, micros, ref_id: None };
        let is_new = tx.charge(&entry).await?;
        let month = self.month(&mut tx).await?;
        if let Err(error) = tx.commit().await {
            tracing::warn!(project.id = %lease.project, %error, "whether a use was written is unknown");
            return Err(ActorError::OutcomeUnknown);
        }
        if is_new {
            metrics::spent(micros);
        }
        let mut answer = month.answer();
        answer.insert("resource".into(), json!(resource.as_str()));
        answer.insert("quantity".into(), quantity(quantity_milli));
        answer.insert("cost_micros".into(), json!(micros));
        answer.insert("cost".into(), json!(dollars(micros)));
        Ok(Value::Object(answer))
    }

    fn price(&self, name: &str, quantity_milli: i64) -> Result<(Resource, i64), Refusal> {
        let resource: Resource = name
            .parse()
            .map_err(|unknown| Refusal::about("unknown_resource", "resource", format!("{name:?}: {unknown}")))?;
        if quantity_milli <= 0 {
            return Err(Refusal::about("invalid_quantity", "quantity", "must be more than zero"));
        }
        match self.0.world.prices.cost_micros(resource, quantity_milli) {
            Some(micros) => Ok((resource, micros)),
            None => Err(Refusal::about("invalid_quantity", "quantity", "is more than can be charged")),
        }
    }

    async fn usage(&self) -> Result<Value, ActorError> {
        let mut tx = self.0.world.store.tree_read(self.0.lease.org).await?;
        let month = self.month(&mut tx).await?;
        let mut answer = month.answer();
        let used = |spend: &Spend| {
            json!({
                "resource": spend.resource, "quantity": quantity(spend.quantity_milli),
                "cost_micros": spend.micros, "cost": dollars(spend.micros),
            })
        };
        answer.insert("resources".into(), month.spent.iter().map(used).collect());
        Ok(Value::Object(answer))
    }

    async fn dashboard(&self) -> Result<Value, ActorError> {
        let project = self.0.lease.project;
        let mut tx = self.0.world.store.fenced(&self.0.lease).await?;
        let leads = tx.count_leads(project).await?;
        let calls = tx.unfinished_tickets("call", COUNTED).await?.len();
        let tasks = tx.unfinished_tickets("task", COUNTED).await?.len();
        let month = self.month(&mut tx).await?;
        let total: i64 = leads.iter().map(|(_, count)| count).sum();
        let by_status: Map<_, _> = leads.into_iter().map(|(status, count)| (status, json!(count))).collect();
        let mut answer = month.answer();
        answer.insert("leads".into(), json!({ "total": total, "by_status": by_status }));
        answer.insert("tickets_unfinished".into(), json!({ "calls": calls, "tasks": tasks }));
        Ok(Value::Object(answer))
    }

    async fn month(&self, tx: &mut TenantTx) -> Result<Month, ActorError> {
        let id = self.0.lease.project;
        let project = tx.project(id).await?.ok_or(ActorError::UnknownProject(id))?;
        let Dna { identity, modules, .. } = dna::resolve(&project.dna_generated, &project.dna_custom)
            .map_err(|_| Refusal::new("invalid_dna", "the stored project DNA cannot be used; put a valid one"))?;
        let since = month_start(tx.now(), &identity.timezone);
        let spent = tx.spend(id, since).await?;
        Ok(Month { spent, limit_micros: modules.system_ops.billing.limit_micros, since })
    }
}

impl Month {
    fn answer(&self) -> Map<String, Value> {
        let total = self.spent.iter().fold(0_i64, |sum, spend| sum.saturating_add(spend.micros));
        let fields = [
            ("month_to_date_micros", json!(total)),
            ("month_to_date", json!(dollars(total))),
            ("month_since", json!(crate::context::timestamp(self.since))),
            ("limit_micros", json!(self.limit_micros)),
            ("limit", json!(dollars(self.limit_micros))),
            ("status", json!(standing(total, self.limit_micros))),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Thousandths as the decimal number that they stand for.
fn quantity(milli: i64) -> Value {
    let (whole, rest) = (milli / 1000, milli % 1000);
    if rest == 0 {
        return json!(whole);
    }
    let text = format!("{whole}.{:03}", rest.unsigned_abs());
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_shown_as_the_number_it_stands_for() {
        assert_eq!(quantity(2_000), json!(2));
        assert_eq!(quantity(1_500), json!(1.5));
        assert_eq!(quantity(1), json!(0.001));
    }
}
