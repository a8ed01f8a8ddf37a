//! Setting an actor aside that failed too often: a row, an event, and a text message to the boss.

use std::time::Duration;

use apex_storage::model::TicketId;
use apex_storage::{FencedTx, NewEvent, NewTicket, ParkedActor, StorageError};
use chrono::TimeDelta;
use ractor::ActorRef;
use serde_json::json;

use super::child::Place;
use super::{ProjectMessage, ProjectState};
use crate::context::timestamp;
use crate::failure::Cause;
use crate::kind::ActorKind;
use crate::metrics;
use crate::restart::Failures;

impl ProjectState {
    /// Reads who is parked. Whoever still has a row is on probation: a first failure parks again.
    pub(super) async fn recall_parked(&mut self, myself: &ActorRef<ProjectMessage>) -> Result<(), StorageError> {
        let (store, rule) = (self.args.world.store.clone(), self.args.world.rules.restart);
        let rows = store.tenant_read(self.args.lease.org).await?.parked_actors(self.args.lease.project).await?;
        for row in rows {
            let Some(kind) = ActorKind::ALL.into_iter().find(|kind| kind.as_str() == row.actor) else { continue };
            let rest = (row.retry_at - store.now()).to_std().unwrap_or_default();
            let child = self.child(kind);
            child.has_row = true;
            child.failures = Failures::on_probation(store.clock().monotonic() + rest + rule.window);
            if !rest.is_zero() {
                child.place = Place::Parked { until: row.retry_at };
                myself.send_after(rest, move || ProjectMessage::Revive(kind));
            }
        }
        Ok(())
    }

    /// Parks a child. Rows that cannot be written are told once and do not end the tree; the next judgement tries again.
    pub(super) async fn park(
        &mut self,
        myself: &ActorRef<ProjectMessage>,
        kind: ActorKind,
        rest: Duration,
        failures: usize,
        cause: Cause,
    ) -> Result<(), StorageError> {
        let now = self.args.world.store.now();
        let parked = ParkedActor {
            actor: kind.as_str().to_owned(),
            failures: i64::try_from(failures).unwrap_or(i64::MAX),
            reason: cause.as_str().to_owned(),
            parked_at: now,
            retry_at: now + TimeDelta::from_std(rest).unwrap_or_default(),
        };
        metrics::parked(kind.as_str());
        let project = self.args.lease.project;
        tracing::error!(project.id = %project, actor = kind.as_str(), failures, "an actor is parked");
        let first = !self.child(kind).has_row;
        self.child(kind).place = Place::Parked { until: parked.retry_at };
        match Box::pin(self.write_parked(&parked, first)).await {
            Ok(alarm) => {
                self.child(kind).has_row = true;
                self.child(kind).told = false;
                self.nudge_alarm(myself, alarm).await
            }
            Err(error) => self.not_written(kind, error),
        }
    }

    /// A child that held out is trusted again.
    pub(super) async fn trust(&mut self, kind: ActorKind) -> Result<(), StorageError> {
        let unpark = async {
            let mut tx = self.args.world.store.fenced(&self.args.lease).await?;
            tx.unpark(kind.as_str()).await?;
            tx.commit().await
        };
        match Box::pin(unpark).await {
            Ok(()) => {
                self.child(kind).has_row = false;
                self.child(kind).told = false;
                Ok(())
            }
            Err(error) => self.not_written(kind, error),
        }
    }

    fn not_written(&mut self, kind: ActorKind, error: StorageError) -> Result<(), StorageError> {
        if matches!(error, StorageError::Fenced) {
            return Err(error);
        }
        if !std::mem::replace(&mut self.child(kind).told, true) {
            let project = self.args.lease.project;
            tracing::error!(project.id = %project, actor = kind.as_str(), %error, "parking could not be written down");
        }
        Ok(())
    }

    /// One transaction: the row, the event, and for a new incident the ticket that texts the boss.
    async fn write_parked(&self, parked: &ParkedActor, first: bool) -> Result<Option<TicketId>, StorageError> {
        let mut tx = self.args.world.store.fenced(&self.args.lease).await?;
        let project = self.args.lease.project.0;
        tx.park(parked).await?;
        let retry_at = timestamp(parked.retry_at);
        tx.emit(&NewEvent {
            kind: "actor.parked",
            ref_id: project,
            correlation_id: project,
            actor: "project",
            payload: json!({ "actor": parked.actor, "failures": parked.failures, "retry_at": retry_at }),
        })
        .await?;
        let alarm = if first { Some(self.write_alarm(&mut tx, parked).await?) } else { None };
        tx.commit().await?;
        Ok(alarm)
    }

    async fn write_alarm(&self, tx: &mut FencedTx, parked: &ParkedActor) -> Result<TicketId, StorageError> {
        let (id, project) = (TicketId::new(), self.args.lease.project);
        let business = tx.project(project).await?.map_or_else(String::new, |row| row.business_name);
        let params = json!({ "text": alarm_text(&business, parked), "incident": true });
        tx.create_ticket(&NewTicket {
            id,
            project_id: project,
            task: "notify_sms",
            actor: self.args.crew.tasks.actor,
            lead_id: None,
            params: &params,
            created_by: "apex",
            deadline_at: None,
        })
        .await?;
        Ok(id)
    }

    async fn nudge_alarm(
        &mut self,
        myself: &ActorRef<ProjectMessage>,
        alarm: Option<TicketId>,
    ) -> Result<(), StorageError> {
        let Some(ticket) = alarm else { return Ok(()) };
        let now = self.args.world.store.clock().monotonic();
        match self.args.gate.enter_nudge(now) {
            Ok(permit) => Box::pin(self.nudge(myself, ticket, ActorKind::Tickets, permit)).await,
            Err(_) => Ok(()), // due at once: the sweeper finds it
        }
    }
}

fn alarm_text(business: &str, parked: &ParkedActor) -> String {
    let (actor, failures) = (parked.actor.replace('_', " "), parked.failures);
    let minutes = (parked.retry_at - parked.parked_at).num_seconds().div_euclid(60).max(1);
    format!(
        "Apex: the {actor} of {business} stopped after {failures} failures in a row. Everything else works on. \
         It is tried again in {minutes} min, and then every {minutes} min."
    )
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn the_alarm_says_who_stopped_and_when_it_is_tried_again() {
        let parked_at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let parked = ParkedActor {
            actor: "sales_bridge".into(),
            failures: 11,
            reason: "panic".into(),
            parked_at,
            retry_at: parked_at + TimeDelta::minutes(5),
        };
        let text = alarm_text("Acme Plumbing", &parked);
        assert!(text.starts_with("Apex: the sales bridge of Acme Plumbing stopped after 11 failures"));
        assert!(text.ends_with("in 5 min, and then every 5 min.") && text.len() <= 320);
    }
}
