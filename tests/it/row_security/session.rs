//! A database with rows of two tenants in every table, and transactions under the application's roles.

use anyhow::{Context, Result};
use apex_storage::model::call::Report;
use apex_storage::model::{EffectId, MissedRuns, OrgId, ScheduleId};
use apex_storage::{
    ActorKind, AuditEntry, ContactDraft, NewBridge, NewEffect, NewEvent, NewInboxRow, NewSchedule, ParkedActor, Store,
    TABLES, TableClass, TenantTx, UsageEntry,
};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::conformance::databases;
use crate::conformance::tenants::{Tenant, TwoTenants, phone, plan};

/// Two tenants, and a pool of one connection: what one user of it leaves behind, the next one meets.
pub(super) struct Session {
    pub bed: TwoTenants,
    pub url: String,
    pub pool: PgPool,
}

/// Tables of tenants.
pub(super) fn tenant_tables() -> impl Iterator<Item = &'static str> {
    tables(|class| class == TableClass::Tenant)
}

/// All other tables.
pub(super) fn other_tables() -> impl Iterator<Item = &'static str> {
    tables(|class| class != TableClass::Tenant)
}

fn tables(of: impl Fn(TableClass) -> bool) -> impl Iterator<Item = &'static str> {
    TABLES.iter().filter(move |table| of(table.class)).map(|table| table.name)
}

/// The one connection of a login, with the store's settings.
pub(super) async fn pool_of_one(url: &str) -> Result<PgPool> {
    let options: PgConnectOptions = url.parse()?;
    let options = options.options([("search_path", "apex")]);
    Ok(PgPoolOptions::new().max_connections(1).connect_with(options).await?)
}

impl Session {
    pub(super) async fn begin() -> Result<Self> {
        let bed = TwoTenants::on_postgres().await?;
        for tenant in [bed.a, bed.b] {
            fill(&bed, tenant).await.with_context(|| format!("rows of {}", tenant.name))?;
        }
        let url = bed.place.url().context("a Postgres database")?.to_owned();
        let pool = pool_of_one(&url).await?;
        Ok(Self { bed, url, pool })
    }

    /// As the store begins: one text, one round trip.
    pub(super) async fn tx(&self, role: &str, org: Option<OrgId>) -> Result<Transaction<'static, Postgres>> {
        let tenant = org.map(|org| format!("; select set_config('app.org_id', '{org}', true)")).unwrap_or_default();
        Ok(self.pool.begin_with(AssertSqlSafe(format!("begin; set local role {role}{tenant}"))).await?)
    }

    /// How many rows an unfiltered statement counts, or the code of its refusal.
    pub(super) async fn count(&self, role: &str, org: Option<OrgId>, from: &str) -> Result<Result<i64, String>> {
        let mut tx = self.tx(role, org).await?;
        let count = AssertSqlSafe(format!("select count(*) from {from}"));
        Ok(coded(sqlx::query_scalar(count).fetch_one(&mut *tx).await))
    }

    /// How many rows a statement changes, or the code of its refusal. It is rolled back.
    pub(super) async fn change(&self, role: &str, org: Option<OrgId>, sql: String) -> Result<Result<u64, String>> {
        let mut tx = self.tx(role, org).await?;
        Ok(coded(sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await.map(|done| done.rows_affected())))
    }

    /// Makes every statement on leads wait until the connection is closed.
    pub(super) async fn lock_leads(&self) -> Result<PgConnection> {
        let mut superuser = databases::superuser(&self.url).await?;
        sqlx::raw_sql("begin; lock table apex.leads in access exclusive mode").execute(&mut superuser).await?;
        Ok(superuser)
    }

    /// Runs a statement as the superuser.
    pub(super) async fn superuser(&self, sql: &'static str) -> Result<()> {
        let mut superuser = databases::superuser(&self.url).await?;
        sqlx::raw_sql(sql).execute(&mut superuser).await?;
        Ok(())
    }

    /// How many rows of a table are a tenant's, seen by the superuser.
    pub(super) async fn rows(&self, table: &str, org: OrgId) -> Result<i64> {
        let mut superuser = databases::superuser(&self.url).await?;
        let count = AssertSqlSafe(format!("select count(*) from apex.{table} where org_id = $1"));
        Ok(sqlx::query_scalar(count).bind(org).fetch_one(&mut superuser).await?)
    }
}

/// The code of a refusal; a failure of another kind is loud.
pub(super) fn coded<T>(answer: Result<T, sqlx::Error>) -> Result<T, String> {
    answer.map_err(|error| match error {
        sqlx::Error::Database(refused) => refused.code().expect("Postgres sends codes").into_owned(),
        other => panic!("{other}"),
    })
}

/// A row in every table of tenants.
async fn fill(bed: &TwoTenants, tenant: Tenant) -> Result<()> {
    let (lease, work) = (bed.lease(tenant).await?, bed.work(tenant).await?);
    let (to, plan, id) = (phone(1), plan(), EffectId::new());
    let mut tx = bed.store.fenced(&lease).await?;
    tx.resolve_contact(&ContactDraft { name: "Ada", phone: Some(&to), email: None }).await?;
    let bridge = apex_storage::model::BridgeId::new();
    tx.open_bridge(&NewBridge { id: bridge, lead_id: work.lead, ticket_id: work.ticket, plan: &plan }).await?;
    let effect = NewEffect {
        id,
        bridge_id: Some(bridge),
        ticket_id: work.ticket,
        kind: "call",
        key: "call:1",
        account: tenant.name,
        to_number: &to,
        from_number: "+6498870000",
        body: None,
    };
    tx.intend(&effect).await?;
    let event = NewEvent {
        kind: "lead.accepted",
        ref_id: work.lead.0,
        correlation_id: work.ticket.0,
        actor: "row_security",
        payload: json!({}),
    };
    tx.emit(&event).await?;
    tx.charge(&UsageEntry { key: "1", resource: "call", quantity_milli: 1, micros: 1, ref_id: None }).await?;
    let (parked_at, retry_at) = (bed.store.now(), bed.store.now());
    let parked = ParkedActor { actor: "sniper".into(), failures: 11, reason: "x".into(), parked_at, retry_at };
    tx.park(&parked).await?;
    tx.take_key("k", &[1; 32]).await?;
    let callback = NewInboxRow {
        project_id: tenant.project,
        ticket_id: work.ticket,
        effect_id: id,
        account: tenant.name,
        sid: "CA1",
        kind: "status",
        digest: &[1; 32],
        report: &Report::Other,
    };
    tx.receive(&callback).await?;
    let ticket = tx.ticket(work.ticket).await?.context("the ticket")?;
    tx.bury(&ticket, "crashed").await?;
    schedule(&mut tx, tenant).await?;
    audited(&mut tx).await?;
    tx.commit().await?;
    lead_key(&bed.store, tenant).await
}

/// One change that was told.
async fn audited(tx: &mut TenantTx) -> Result<()> {
    let entry = AuditEntry {
        actor: "row_security",
        actor_kind: ActorKind::System,
        ip: None,
        user_agent: None,
        action: "lead.update",
        resource_kind: "lead",
        resource_id: "1",
        before: None,
        after: None,
        trace_id: None,
    };
    Ok(tx.audit(&entry).await?)
}

/// One that is due.
async fn schedule(tx: &mut TenantTx, tenant: Tenant) -> Result<()> {
    let (params, next_at) = (json!({}), Some(tx.now()));
    let schedule = NewSchedule {
        id: ScheduleId::new(),
        project_id: tenant.project,
        name: "weekly",
        cron: "0 9 * * 1",
        timezone: None,
        task: "health_check",
        params: &params,
        missed: MissedRuns::Once,
        next_at,
        created_by: "row_security",
    };
    Ok(tx.create_schedule(&schedule).await?)
}

/// Through the intake, whose role is another.
async fn lead_key(store: &Store, tenant: Tenant) -> Result<()> {
    let (intake, task) = apex_storage::Intake::new(store.clone());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task);
    let lead = apex_storage::LeadIntake {
        org: tenant.org,
        project: tenant.project,
        source: apex_storage::model::LeadSource::GoogleAds,
        external_id: Uuid::nil().to_string(),
        name: "Ada".to_owned(),
        phone_raw: None,
        email: None,
        message: None,
        answers: json!({}),
        raw: json!({}),
        is_test: false,
        task: "sales_agent",
        actor: "call",
    };
    intake.accept(lead).await?;
    Ok(())
}
