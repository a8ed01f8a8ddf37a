//! Schedules: tasks that run by themselves. When one runs next is a row, and firing it is a compare-and-set on that time.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::error::StorageError;
use crate::model::{MissedRuns, OrgId, ProjectId, ScheduleId, TicketId};
use crate::sql::sql;
use crate::system::SystemTx;
use crate::tenant::TenantTx;
use crate::ticket::NewTicket;

/// A task that runs by itself.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Schedule {
    /// The schedule.
    pub id: ScheduleId,
    /// Its tenant.
    pub org_id: OrgId,
    /// Its project.
    pub project_id: ProjectId,
    /// Unique in the project.
    pub name: String,
    /// When it runs, in the five fields of cron.
    pub cron: String,
    /// The zone its times are in, by its IANA name; `None`: the project's.
    pub timezone: Option<String>,
    /// What is run.
    pub task: String,
    /// What it is run with.
    pub params: Value,
    /// What happens to runs that nobody was there for.
    #[sqlx(try_from = "String")]
    pub missed: MissedRuns,
    /// When it runs next; `None`: it is off.
    pub next_at: Option<DateTime<Utc>>,
    /// The time it last ran for.
    pub last_at: Option<DateTime<Utc>>,
    /// The ticket of its last run.
    pub last_ticket_id: Option<TicketId>,
    /// Who made it.
    pub created_by: String,
    /// Grows with every change, also with every run.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A schedule to make.
#[derive(Clone, Debug)]
pub struct NewSchedule<'a> {
    /// The schedule.
    pub id: ScheduleId,
    /// Its project.
    pub project_id: ProjectId,
    /// Unique in the project.
    pub name: &'a str,
    /// When it runs, in the five fields of cron.
    pub cron: &'a str,
    /// The zone its times are in; `None`: the project's.
    pub timezone: Option<&'a str>,
    /// What is run.
    pub task: &'a str,
    /// What it is run with.
    pub params: &'a Value,
    /// What happens to runs that nobody was there for.
    pub missed: MissedRuns,
    /// When it runs first; `None`: it is off.
    pub next_at: Option<DateTime<Utc>>,
    /// Who makes it.
    pub created_by: &'a str,
}

/// Which schedules are listed.
#[derive(Clone, Debug, Default)]
pub struct ScheduleFilter {
    /// Only of this project.
    pub project_id: Option<ProjectId>,
    /// Only older than this one.
    pub after: Option<(DateTime<Utc>, ScheduleId)>,
    /// At most so many.
    pub limit: i64,
}

/// A schedule whose time has come.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DueSchedule {
    /// The schedule.
    pub id: ScheduleId,
    /// Its tenant.
    pub org_id: OrgId,
    /// Its project.
    pub project_id: ProjectId,
    /// When it came due.
    pub next_at: DateTime<Utc>,
}

const SCHEDULE: crate::sql::Sql = sql!(
    "select id, org_id, project_id, name, cron, timezone, task, params, missed, next_at, last_at, last_ticket_id, created_by,
            version, created_at, updated_at
       from schedules where org_id = $1"
);

/// A name that the project has already.
fn taken(error: StorageError) -> StorageError {
    if error.is_unique_violation() { StorageError::Taken("name") } else { error }
}

impl TenantTx {
    /// Makes a schedule.
    ///
    /// # Errors
    ///
    /// `Taken` when the project has a schedule of that name; `NoProject` when this tenant does not have the project.
    pub async fn create_schedule(&mut self, new: &NewSchedule<'_>) -> Result<(), StorageError> {
        let (org, now) = (self.org(), self.now());
        let rows = self
            .query(sql!(
                "insert into schedules (org_id, id, project_id, name, cron, timezone, task, params, missed, next_at,
                                        created_by, created_at, updated_at)
                 select $1, $2, p.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12
                   from projects p where p.org_id = $1 and p.id = $3 and p.deleted_at is null"
            ))
            .bind(new.id)
            .bind(new.project_id)
            .bind(new.name)
            .bind(new.cron)
            .bind(new.timezone)
            .bind(new.task)
            .bind(new.params.clone())
            .bind(new.missed.as_str())
            .bind(new.next_at)
            .bind(new.created_by)
            .bind(now)
            .execute()
            .await
            .map_err(taken)?;
        if rows == 1 { Ok(()) } else { Err(StorageError::NoProject { org, project: new.project_id }) }
    }

    /// The schedule.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn schedule(&mut self, id: ScheduleId) -> Result<Option<Schedule>, StorageError> {
        self.query(SCHEDULE).push(" and id = $?").bind(id).optional().await
    }

    /// A page of schedules, the newest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn schedules(&mut self, filter: &ScheduleFilter) -> Result<Vec<Schedule>, StorageError> {
        let query = self.query(SCHEDULE).and(" and project_id = $?", filter.project_id);
        let query = match filter.after {
            Some((at, id)) => query.push(" and (created_at, id) < ($?, $?)").bind(at).bind(id),
            None => query,
        };
        query.push(" order by created_at desc, id desc limit $?").bind(filter.limit).all().await
    }

    /// Every schedule of a project, by name.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn schedules_of_project(&mut self, project: ProjectId) -> Result<Vec<Schedule>, StorageError> {
        self.query(SCHEDULE).push(" and project_id = $? order by name").bind(project).all().await
    }

    /// Writes what a person may change, as read and changed. `false`: there is none, or it has changed or run since it
    /// was read; read again, or an old `next_at` would make it run twice.
    ///
    /// # Errors
    ///
    /// `Taken` when the project has another schedule of that name.
    pub async fn update_schedule(&mut self, schedule: &Schedule) -> Result<bool, StorageError> {
        let now = self.now();
        let update = sql!(
            "update schedules set name = $4, cron = $5, timezone = $6, task = $7, params = $8, missed = $9, next_at = $10,
                    version = version + 1, updated_at = $11
              where org_id = $1 and id = $2 and version = $3"
        );
        let rows = self
            .query(update)
            .bind(schedule.id)
            .bind(schedule.version)
            .bind(&schedule.name)
            .bind(&schedule.cron)
            .bind(schedule.timezone.as_deref())
            .bind(&schedule.task)
            .bind(schedule.params.clone())
            .bind(schedule.missed.as_str())
            .bind(schedule.next_at)
            .bind(now)
            .execute()
            .await
            .map_err(taken)?;
        Ok(rows == 1)
    }

    /// Removes a schedule; its tickets stay. `false`: there is none.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn delete_schedule(&mut self, id: ScheduleId) -> Result<bool, StorageError> {
        Ok(self.query(sql!("delete from schedules where org_id = $1 and id = $2")).bind(id).execute().await? == 1)
    }

    /// Runs a schedule for the time it was read to come due at, and sets the next. Without tickets that time is left out.
    /// `false`: somebody else ran or changed it, and nothing was written.
    ///
    /// # Errors
    ///
    /// `NoProject` when a ticket is for a project that this tenant does not have.
    pub async fn fire_schedule(
        &mut self,
        id: ScheduleId,
        expected: DateTime<Utc>,
        next: Option<DateTime<Utc>>,
        tickets: &[NewTicket<'_>],
    ) -> Result<bool, StorageError> {
        let (now, last) = (self.now(), tickets.last().map(|ticket| ticket.id));
        let fire = sql!(
            "update schedules set next_at = $4, last_at = coalesce($5, last_at), last_ticket_id = coalesce($6, last_ticket_id),
                    version = version + 1, updated_at = $7
              where org_id = $1 and id = $2 and next_at = $3"
        );
        let rows = self
            .query(fire)
            .bind(id)
            .bind(expected)
            .bind(next)
            .bind(last.map(|_| expected))
            .bind(last)
            .bind(now)
            .execute()
            .await?;
        if rows == 0 {
            return Ok(false);
        }
        for ticket in tickets {
            self.create_ticket(ticket).await?;
        }
        Ok(true)
    }
}

impl SystemTx {
    /// Schedules of living projects whose time has come, the longest due first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn due_schedules(&mut self, limit: i64) -> Result<Vec<DueSchedule>, StorageError> {
        let now = self.now();
        let due = sql!(
            "select s.id, s.org_id, s.project_id, s.next_at from schedules s join projects p on p.id = s.project_id
              where s.next_at <= $1 and p.deleted_at is null order by s.next_at, s.id limit $2"
        );
        self.query(due).bind(now).bind(limit).all().await
    }
}
