//! The clockwork: one loop per node that runs the schedules whose time has come, and one that clears away what is old.
//!
//! Every node looks. A run and the time of the next are one commit with a compare-and-set on the time, so it happens once.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use apex_config::dna;
use apex_storage::fault::{self, Fault};
use apex_storage::model::{LeadId, TicketId};
use apex_storage::{DueSchedule, NewTicket, Project, Schedule, StorageError, TenantTx};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use crate::directory::Directory;
use crate::error::Refusal;
use crate::metrics;
use crate::outage::Outage;
use crate::schedule::{Cron, Due, ScheduleProblem, due, parse_zone};
use crate::sweeper::ticks;
use crate::tasks::{self, Run, TaskSpec};

/// How often due schedules are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Schedules that one look runs.
const BATCH: i64 = 200;
/// How often what is old is cleared away.
const TIDY_EVERY: Duration = Duration::from_mins(1);
/// A dead letter that nobody touched for so long is archived.
const ARCHIVED_AFTER: TimeDelta = TimeDelta::hours(24);
/// An archived dead letter is kept for so long.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::days(30);
/// Journal entries that are forgotten at once.
const FORGOTTEN_AT_ONCE: i64 = 10_000;

/// Why a schedule can never run again as it is.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Time(#[from] ScheduleProblem),
    #[error(transparent)]
    Task(#[from] Refusal),
    #[error("its lead is gone")]
    Lead,
}

/// What one look at a schedule leads to.
struct Plan {
    due: Due,
    actor: &'static str,
    lead: Option<LeadId>,
}

/// The task that a schedule would run.
///
/// # Errors
///
/// What [`tasks::find`] and [`tasks::check_params`] refuse; `not_schedulable` for a task that is answered at once, since nobody
/// would be there for the answer; `task_unavailable` for one that is not part of this release.
pub fn schedulable(task: &str, params: &Value) -> Result<&'static TaskSpec, Refusal> {
    Ok(heavy(task, params)?.0)
}

fn heavy(task: &str, params: &Value) -> Result<(&'static TaskSpec, &'static str), Refusal> {
    let spec = tasks::find(task, params.get("action").and_then(Value::as_str))?;
    tasks::check_params(spec, params)?;
    match spec.run {
        Run::Heavy { actor } => Ok((spec, actor)),
        Run::Unavailable { reason } => Err(Refusal::about("task_unavailable", "task", reason)),
        Run::Instant(_) => {
            let detail = format!(
                "{task} is answered at once, and a schedule has nobody to answer; run it when you want to know"
            );
            Err(Refusal::about("not_schedulable", "task", detail))
        }
    }
}

impl Directory {
    /// Runs every schedule whose time has come. How many tickets that made. One that fails does not keep the others.
    ///
    /// # Errors
    ///
    /// `Database`, of the first that failed.
    pub async fn run_schedules(&self) -> Result<usize, StorageError> {
        let all = self.world().store.system_read().await?.due_schedules(BATCH).await?;
        let (mut begun, mut failed) = (0, None);
        for due in &all {
            match self.run_schedule(due).await {
                Ok(tickets) => begun += tickets,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        metrics::scheduled(begun as u64);
        failed.map_or(Ok(begun), Err)
    }

    /// `due` may be old news: the rows are read again, and the set compares.
    async fn run_schedule(&self, due: &DueSchedule) -> Result<usize, StorageError> {
        let mut tx = self.world().store.tenant(due.org_id).await?;
        let Some(schedule) = tx.schedule(due.id).await? else { return Ok(0) };
        let Some(next_at) = schedule.next_at.filter(|next_at| *next_at <= tx.now()) else { return Ok(0) };
        let Plan { due: Due { runs, next }, actor, lead } = match plan(&mut tx, &schedule, next_at).await? {
            Ok(plan) => plan,
            Err(broken) => {
                tracing::error!(schedule.id = %schedule.id, project.id = %schedule.project_id, %broken, "schedule switched off");
                tx.fire_schedule(schedule.id, next_at, None, &[]).await?;
                tx.commit().await?;
                return Ok(0);
            }
        };
        let created_by = format!("schedule:{}", schedule.id);
        let ticket = |_| NewTicket {
            id: TicketId::new(),
            project_id: schedule.project_id,
            task: &schedule.task,
            actor,
            lead_id: lead,
            params: &schedule.params,
            created_by: &created_by,
            deadline_at: None,
        };
        let tickets: Vec<_> = runs.iter().map(ticket).collect();
        if !tx.fire_schedule(schedule.id, next_at, next, &tickets).await? {
            return Ok(0);
        }
        tx.commit().await?;
        fault::pass(Fault::ScheduleFired).await;
        for ticket in &tickets {
            self.nudge(due.org_id, schedule.project_id, ticket.id, actor);
        }
        tracing::info!(schedule.id = %schedule.id, project.id = %schedule.project_id, runs = tickets.len(), "schedule came due");
        Ok(tickets.len())
    }

    /// Archives and forgets old dead letters, and forgets the journals of tickets that have been over for long. How many rows.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn tidy(&self) -> Result<u64, StorageError> {
        let store = &self.world().store;
        let now = store.now();
        let mut tx = store.system().await?;
        let archived = tx.archive_dead_letters(now - ARCHIVED_AFTER).await?;
        let forgotten = tx.forget_dead_letters(now - FORGOTTEN_AFTER).await?;
        let kept = TimeDelta::from_std(self.world().rules.timeline_kept).unwrap_or(TimeDelta::MAX);
        let entries = match now.checked_sub_signed(kept) {
            Some(before) => tx.forget_journals(before, FORGOTTEN_AT_ONCE).await?,
            None => 0,
        };
        tx.commit().await?;
        Ok(archived + forgotten + entries)
    }
}

/// The inner error is about the schedule and stays; the outer one is about the database and passes.
async fn plan(
    tx: &mut TenantTx,
    schedule: &Schedule,
    next_at: DateTime<Utc>,
) -> Result<Result<Plan, Broken>, StorageError> {
    let zone = zone(tx, schedule).await?;
    let read = || -> Result<_, Broken> {
        Ok((Cron::parse(&schedule.cron)?, zone?, heavy(&schedule.task, &schedule.params)?.1))
    };
    let (cron, zone, actor) = match read() {
        Ok(read) => read,
        Err(broken) => return Ok(Err(broken)),
    };
    let named = schedule.params.get("lead_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let lead = match named {
        None => None,
        Some(id) => match tx.lead(id).await?.filter(|lead| lead.project_id == schedule.project_id) {
            None => return Ok(Err(Broken::Lead)),
            Some(lead) => Some(lead.id),
        },
    };
    let due = due(&cron, zone, next_at, tx.now(), schedule.missed);
    Ok(Ok(Plan { due, actor, lead }))
}

/// The schedule's own zone, else its project's as it is now, else UTC.
async fn zone(tx: &mut TenantTx, schedule: &Schedule) -> Result<Result<Tz, ScheduleProblem>, StorageError> {
    if let Some(name) = &schedule.timezone {
        return Ok(parse_zone(name));
    }
    let project = tx.project(schedule.project_id).await?;
    Ok(Ok(project.as_ref().map_or(Tz::UTC, project_zone)))
}

/// The zone of a project's schedules that have none of their own; UTC when its DNA cannot be read any more.
pub fn project_zone(project: &Project) -> Tz {
    let dna = dna::resolve(&project.dna_generated, &project.dna_custom);
    dna.map_or(Tz::UTC, |dna| dna.identity.timezone)
}

pub(crate) async fn run_forever(directory: Directory) {
    let mut ticks = ticks(LOOK_EVERY);
    let mut outage = Outage::of("run schedules");
    loop {
        ticks.tick().await;
        outage.told(directory.run_schedules().await);
    }
}

pub(crate) async fn tidy_forever(directory: Directory) {
    tokio::time::sleep(offset(&directory.node().id, TIDY_EVERY)).await;
    let mut ticks = ticks(TIDY_EVERY);
    let mut outage = Outage::of("clear away what is old");
    loop {
        ticks.tick().await;
        if let Some(cleared @ 1..) = outage.told(directory.tidy().await) {
            tracing::info!(cleared, "old dead letters archived or forgotten, old journals forgotten");
        }
    }
}

/// How long a node waits before a duty that every node does, so that they do not all do it at the same moment.
pub(crate) fn offset(node: &str, period: Duration) -> Duration {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(node);
    let period = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(hash % period)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_done_by_a_ticket_can_be_scheduled() {
        let lead = json!({ "lead_id": uuid::Uuid::now_v7() });
        assert_eq!(schedulable("sales_agent", &lead).unwrap().action, Some("instant_call"));
        let text = json!({ "action": "notify_sms", "text": "Time to look" });
        assert_eq!(schedulable("sales_agent", &text).unwrap().action, Some("notify_sms"));
        let refused = |task, params: Value| schedulable(task, &params).unwrap_err().code;
        assert_eq!(refused("health_check", json!({})), "not_schedulable");
        assert_eq!(refused("lead_gen_manager", json!({ "action": "hunt_sniper" })), "not_schedulable");
        assert_eq!(refused("onboarding", json!({})), "task_unavailable");
        assert_eq!(refused("brew_coffee", json!({})), "unknown_task");
        assert_eq!(refused("sales_agent", json!({})), "missing_param");
    }

    #[test]
    fn nodes_wait_differently_and_less_than_a_period() {
        let minute = Duration::from_mins(1);
        let waits: std::collections::HashSet<_> = (0..50).map(|node| offset(&format!("data:{node}"), minute)).collect();
        assert!(waits.len() > 40 && waits.iter().all(|wait| *wait < minute));
        assert_eq!(offset("data:1", minute), offset("data:1", minute));
    }
}
