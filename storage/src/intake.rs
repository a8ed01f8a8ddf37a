//! Group commit for leads: many requests, one transaction.
//!
//! Requests queue in a bounded channel; one task takes whatever waits, commits it in one transaction and answers. There is
//! no linger: while one batch commits, the next one gathers. A batch that fails is tried again lead by lead, so that one bad
//! lead does not take others with it.

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::database::{Role, Store};
use crate::error::StorageError;
use crate::fault::{self, Fault};
use crate::model::{EventId, LeadId, LeadSource, OrgId, ProjectId, TicketId};
use crate::sql::{Conn, sql};

/// Most leads in one transaction.
const BATCH: usize = 128;
/// Most leads that wait; beyond it a request is told to come again, and nothing is lost because nothing was accepted.
const QUEUE: usize = 4096;

/// A lead as a form sends it.
#[derive(Clone, Debug)]
pub struct LeadIntake {
    /// The tenant.
    pub org: OrgId,
    /// The project.
    pub project: ProjectId,
    /// Where it came from.
    pub source: LeadSource,
    /// The source's own id: the same one again is the same lead.
    pub external_id: String,
    /// As given.
    pub name: String,
    /// As given.
    pub phone_raw: Option<String>,
    /// As given.
    pub email: Option<String>,
    /// As given.
    pub message: Option<String>,
    /// What else the form asked.
    pub answers: Value,
    /// As received, without secrets.
    pub raw: Value,
    /// Sent by a provider's test button.
    pub is_test: bool,
    /// What is done about it: the task of its ticket, such as `sales_agent`.
    pub task: &'static str,
    /// Which kind of actor writes that ticket: `call` or `task`.
    pub actor: &'static str,
}

/// A lead that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The lead.
    pub lead: LeadId,
    /// The ticket that works on it.
    pub ticket: TicketId,
    /// Whether this request made it; else an earlier one did.
    pub is_new: bool,
}

/// Why a lead was not accepted. Nothing was stored, unless the database died while it committed: the sender repeats, and
/// the same external id finds the same lead.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Too many leads wait.
    #[error("too many leads are waiting to be stored")]
    Full,
    /// The database refused or did not answer.
    #[error("the lead could not be stored")]
    Storage(#[from] StorageError),
}

/// Where leads are handed in. Cheap to clone.
#[derive(Clone)]
pub struct Intake(mpsc::Sender<Waiting>);

struct Waiting {
    lead: LeadIntake,
    /// Made before the first try and reused by every retry, so that a retry cannot make a second lead.
    ids: Ids,
    answer: oneshot::Sender<Result<Accepted, StorageError>>,
}

impl Waiting {
    /// No key of the tenant's own: the lead names another tenant's project, which has this external id already.
    fn accepted(&self, key: (Option<LeadId>, Option<TicketId>)) -> Result<Accepted, StorageError> {
        let (Some(lead), Some(ticket)) = key else { return Err(self.no_project()) };
        Ok(Accepted { lead, ticket, is_new: ticket == self.ids.ticket })
    }

    fn no_project(&self) -> StorageError {
        StorageError::NoProject { org: self.lead.org, project: self.lead.project }
    }
}

#[derive(Clone, Copy)]
struct Ids {
    lead: LeadId,
    ticket: TicketId,
    event: EventId,
}

impl Intake {
    /// The intake and the task that serves it; the task ends when the last clone of the intake is gone.
    pub fn new(store: Store) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), serve(store, receiver))
    }

    /// Stores a lead; the answer means that it is committed.
    ///
    /// # Errors
    ///
    /// `Full` and `Storage`: not accepted.
    pub async fn accept(&self, lead: LeadIntake) -> Result<Accepted, IntakeError> {
        let (answer, answered) = oneshot::channel();
        let ids = Ids { lead: LeadId::new(), ticket: TicketId::new(), event: EventId::new() };
        self.0.try_send(Waiting { lead, ids, answer }).map_err(|_| IntakeError::Full)?;
        let accepted = answered.await.map_err(|_| IntakeError::Full)??;
        fault::pass(Fault::IntakeCommitted).await;
        Ok(accepted)
    }
}

async fn serve(store: Store, mut receiver: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut waiting, BATCH).await > 0 {
        match commit(&store, &waiting).await {
            Ok(accepted) => {
                for (waiting, accepted) in waiting.drain(..).zip(accepted) {
                    let _ = waiting.answer.send(Ok(accepted)); // the caller may have left; the lead is stored all the same
                }
            }
            Err(StorageError::Away) => {
                for waiting in waiting.drain(..) {
                    let _ = waiting.answer.send(Err(StorageError::Away));
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, leads = waiting.len(), "a batch of leads failed, trying them one by one");
                one_by_one(&store, &mut waiting).await;
            }
        }
    }
}

/// A server that went away is not asked again for each: `begin` refuses at once while it is.
async fn one_by_one(store: &Store, waiting: &mut Vec<Waiting>) {
    for single in waiting.drain(..) {
        let accepted = match commit(store, std::slice::from_ref(&single)).await {
            Ok(accepted) => accepted.first().copied().ok_or_else(|| single.no_project()),
            Err(error) if error.is_foreign_key_violation() => Err(single.no_project()),
            Err(error) => Err(error),
        };
        let _ = single.answer.send(accepted);
    }
}

async fn commit(store: &Store, waiting: &[Waiting]) -> Result<Vec<Accepted>, StorageError> {
    let now = store.now();
    let mut conn = store.begin(Role::Ingest, None).await?;
    let room = store.room().for_new_work(&mut conn).await;
    store.room().note(&room, store.clock().monotonic());
    room?;
    let batch = Value::Array(waiting.iter().map(row).collect());
    if conn.is_postgres() {
        insert_postgres(&mut conn, &batch, now).await?;
    } else {
        insert_sqlite(&mut conn, &batch, now).await?;
    }
    let answers: Vec<(Option<LeadId>, Option<TicketId>)> = conn
        .query(sql!(
            pg "select k.lead_id, k.ticket_id from jsonb_array_elements($1) with ordinality as i(v, n)
                  left join lead_keys k on k.project_id = (i.v ->> 'project')::uuid and k.source = i.v ->> 'source'
                   and k.external_id = i.v ->> 'external' and k.org_id = (i.v ->> 'org')::uuid order by i.n"
            lite "select k.lead_id, k.ticket_id from json_each($1) e
                  left join lead_keys k on k.project_id = unhex(e.value ->> 'project') and k.source = e.value ->> 'source'
                   and k.external_id = e.value ->> 'external' and k.org_id = unhex(e.value ->> 'org') order by e.key"
        ))
        .bind(batch)
        .all()
        .await?;
    let accepted = waiting.iter().zip(answers).map(|(waiting, answer)| waiting.accepted(answer));
    let accepted = accepted.collect::<Result<_, _>>()?;
    conn.commit().await?;
    store.room().stored();
    Ok(accepted)
}

/// Postgres keeps no NUL in a text; nothing a person types is lost with it.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains('\0') => Value::String(text.replace('\0', "")),
        Value::Array(values) => values.into_iter().map(without_nul).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key.replace('\0', ""), without_nul(value))).collect()
        }
        other => other,
    }
}

/// Ids travel as 32 hex digits: JSON has no bytes, and both databases read them.
fn row(waiting: &Waiting) -> Value {
    let hex = |id: uuid::Uuid| id.simple().to_string();
    let Waiting { lead, ids, .. } = waiting;
    without_nul(json!({
        "org": hex(lead.org.0), "project": hex(lead.project.0), "source": lead.source, "external": lead.external_id,
        "lead": hex(ids.lead.0), "ticket": hex(ids.ticket.0), "event": hex(ids.event.0), "name": lead.name,
        "phone": lead.phone_raw, "email": lead.email, "message": lead.message, "answers": lead.answers, "raw": lead.raw,
        "test": lead.is_test, "lead_id": ids.lead, "by": format!("webhook:{}", lead.source), "task": lead.task,
        "writer": lead.actor,
    }))
}

/// The ORDER BY is not cosmetic: two batches with the same keys in another order deadlock. A JSON null arrives as an SQL one.
async fn insert_postgres(
    conn: &mut Conn,
    batch: &Value,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), StorageError> {
    conn.query(sql!(
        "with i as (
           select * from jsonb_to_recordset($1) as i(org uuid, project uuid, source text, external text, lead uuid,
             ticket uuid, event uuid, name text, phone text, email text, message text, answers jsonb, raw jsonb,
             test boolean, lead_id text, \"by\" text, task text, writer text)),
         k as (
           insert into lead_keys (project_id, source, external_id, org_id, lead_id, ticket_id)
           select project, source, external, org, lead, ticket from i order by project, source, external
           on conflict (project_id, source, external_id) do nothing returning ticket_id),
         n as (select i.* from i join k on k.ticket_id = i.ticket),
         l as (
           insert into leads (id, org_id, project_id, source, status, name, phone_raw, email, message, is_test, answers,
                              raw_payload, created_at, updated_at)
           select lead, org, project, source, 'new', name, phone, email, message, test, coalesce(answers, 'null'),
                  coalesce(raw, 'null'), $2, $2 from n),
         t as (
           insert into tickets (id, org_id, project_id, task, actor, lead_id, state, seq, due_at, created_by, created_at,
                                updated_at)
           select ticket, org, project, task, writer, lead, 'accepted', 1, $2, \"by\", $2, $2 from n),
         j as (
           insert into ticket_events (ticket_id, seq, org_id, kind, data, at)
           select ticket, 1, org, 'accepted', jsonb_build_object('task', task, 'lead_id', lead_id), $2 from n)
         insert into events (id, org_id, project_id, kind, ref_id, correlation_id, actor, payload, at)
         select event, org, project, 'lead.accepted', lead, ticket, \"by\", jsonb_build_object('source', source), $2 from n"
    ))
    .bind(batch.clone())
    .bind(now)
    .execute()
    .await
    .map(drop)
}

/// SQLite has no writing CTE: the same in five statements; new is what the first one returns.
async fn insert_sqlite(conn: &mut Conn, batch: &Value, now: chrono::DateTime<chrono::Utc>) -> Result<(), StorageError> {
    let new: Vec<(TicketId,)> = conn
        .query(sql!(
            "insert into lead_keys (project_id, source, external_id, org_id, lead_id, ticket_id)
             select unhex(e.value ->> 'project'), e.value ->> 'source', e.value ->> 'external', unhex(e.value ->> 'org'),
                    unhex(e.value ->> 'lead'), unhex(e.value ->> 'ticket')
               from json_each($1) e where true
             on conflict (project_id, source, external_id) do nothing returning ticket_id"
        ))
        .bind(batch.clone())
        .all()
        .await?;
    let new: std::collections::HashSet<_> = new.into_iter().map(|(ticket,)| ticket.0.simple().to_string()).collect();
    let is_new = |row: &&Value| row["ticket"].as_str().is_some_and(|ticket| new.contains(ticket));
    let rows = Value::Array(batch.as_array().into_iter().flatten().filter(is_new).cloned().collect());
    let statements = [
        sql!(
            "insert into leads (id, org_id, project_id, source, status, name, phone_raw, email, message, is_test, answers,
                                raw_payload, created_at, updated_at)
             select unhex(e.value ->> 'lead'), unhex(e.value ->> 'org'), unhex(e.value ->> 'project'), e.value ->> 'source',
                    'new', e.value ->> 'name', e.value ->> 'phone', e.value ->> 'email', e.value ->> 'message',
                    e.value ->> 'test', e.value -> 'answers', e.value -> 'raw', $2, $2 from json_each($1) e"
        ),
        sql!(
            "insert into tickets (id, org_id, project_id, task, actor, lead_id, state, seq, due_at, created_by, created_at,
                                  updated_at)
             select unhex(e.value ->> 'ticket'), unhex(e.value ->> 'org'), unhex(e.value ->> 'project'),
                    e.value ->> 'task', e.value ->> 'writer', unhex(e.value ->> 'lead'), 'accepted', 1, $2,
                    e.value ->> 'by', $2, $2 from json_each($1) e"
        ),
        sql!(
            "insert into ticket_events (ticket_id, seq, org_id, kind, data, at)
             select unhex(e.value ->> 'ticket'), 1, unhex(e.value ->> 'org'), 'accepted',
                    json_object('task', e.value ->> 'task', 'lead_id', e.value ->> 'lead_id'), $2 from json_each($1) e"
        ),
        sql!(
            "insert into events (id, org_id, project_id, kind, ref_id, correlation_id, actor, payload, at)
             select unhex(e.value ->> 'event'), unhex(e.value ->> 'org'), unhex(e.value ->> 'project'), 'lead.accepted',
                    unhex(e.value ->> 'lead'), unhex(e.value ->> 'ticket'), e.value ->> 'by',
                    json_object('source', e.value ->> 'source'), $2 from json_each($1) e"
        ),
    ];
    for statement in statements {
        conn.query(statement).bind(rows.clone()).bind(now).execute().await?;
    }
    Ok(())
}
