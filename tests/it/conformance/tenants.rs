//! Two tenants in one database, and the rows that most promises begin with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use apex_storage::clock::ManualClock;
use apex_storage::model::phone::Phone;
use apex_storage::model::{BridgeId, EffectId, LeadId, LeadSource, OrgId, ProjectId, TicketId, UserId};
use apex_storage::{
    Backend, BridgePlan, Claim, FencedTx, Lease, NewBridge, NewEffect, NewLead, NewProject, NewTicket, NewUser, Node,
    StorageError, Store, TenantTx,
};
use serde_json::json;
use tempfile::TempDir;

use super::databases;
use super::rows::{Place, Rows};

/// The provider account that both tenants use: ids of calls are unique in it.
pub(super) const ACCOUNT: &str = "AC1";

/// A tenant with one project.
#[derive(Clone, Copy)]
pub(crate) struct Tenant {
    pub org: OrgId,
    pub project: ProjectId,
    pub user: UserId,
    pub name: &'static str,
}

/// Tenants A and B, a project each.
pub(crate) struct TwoTenants {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub a: Tenant,
    pub b: Tenant,
    pub place: Place,
    _folder: Option<TempDir>,
}

/// A lead with its ticket.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    pub lead: LeadId,
    pub ticket: TicketId,
}

impl TwoTenants {
    pub(super) async fn on_sqlite() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("apex.db");
        Self::begin(Backend::Sqlite(path.clone()), Place::File(path), Some(folder)).await
    }

    pub(crate) async fn on_postgres() -> Result<Self> {
        let url = databases::migrated().await?;
        Self::begin(databases::backend(&url, 4), Place::Server(url), None).await
    }

    async fn begin(backend: Backend, place: Place, folder: Option<TempDir>) -> Result<Self> {
        let clock = Arc::new(ManualClock::at(databases::start()));
        let store = Store::open(databases::options(backend, clock.clone())).await?;
        let (a, b) = (Tenant::new("alpha"), Tenant::new("beta"));
        for tenant in [a, b] {
            tenant.settle(&store).await?;
        }
        Ok(Self { store, clock, a, b, place, _folder: folder })
    }

    /// Time passes.
    pub(super) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A node that lives for a minute.
    pub(super) async fn node(&self, id: &str) -> Result<Node> {
        let node = Node { id: id.to_owned(), address: format!("http://{id}") };
        let mut tx = self.store.system().await?;
        tx.register_node(&node, Duration::from_mins(1)).await?;
        tx.commit().await?;
        Ok(node)
    }

    /// What a claim of the tenant's project for a node is answered.
    pub(super) async fn claim(&self, tenant: Tenant, node: &str) -> Result<Claim> {
        let mut tx = self.store.system().await?;
        let claim = tx.claim(tenant.org, tenant.project, node).await?;
        tx.commit().await?;
        Ok(claim)
    }

    /// A lease on the tenant's project, by a node of its own.
    pub(crate) async fn lease(&self, tenant: Tenant) -> Result<Lease> {
        let node = self.node(&format!("{}:1", tenant.name)).await?;
        match self.claim(tenant, &node.id).await? {
            Claim::Granted(lease) => Ok(lease),
            other => bail!("the claim was answered {other:?}"),
        }
    }

    /// Everything that B must not change, before and after.
    pub(super) async fn rows_of_a(&self) -> Result<Rows> {
        self.place.rows_of(self.a.org).await
    }

    /// A lead with its ticket.
    pub(crate) async fn work(&self, tenant: Tenant) -> Result<Work> {
        let work = Work { lead: LeadId::new(), ticket: TicketId::new() };
        let mut tx = self.store.tenant(tenant.org).await?;
        create_lead(&mut tx, tenant.project, work.lead).await?;
        create_ticket(&mut tx, tenant.project, work.ticket, Some(work.lead)).await?;
        tx.commit().await?;
        Ok(work)
    }

    /// A lead with its ticket and an open bridge.
    pub(super) async fn bridged(&self, lease: &Lease, work: Work) -> Result<BridgeId> {
        let mut tx = self.store.fenced(lease).await?;
        let id = open_bridge(&mut tx, work).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// An intended call to a number.
    pub(super) async fn intended(&self, lease: &Lease, work: Work, key: &str, to: &Phone) -> Result<EffectId> {
        let mut tx = self.store.fenced(lease).await?;
        let effect = call_effect(work.ticket, None, key, to);
        assert!(tx.intend(&effect).await?, "{key} is new");
        tx.commit().await?;
        Ok(effect.id)
    }
}

impl Tenant {
    fn new(name: &'static str) -> Self {
        Self { org: OrgId::new(), project: ProjectId::new(), user: UserId::new(), name }
    }

    async fn settle(self, store: &Store) -> Result<()> {
        let email = format!("{}@example.com", self.name);
        let mut tx = store.identity().await?;
        tx.register(&NewUser {
            id: self.user,
            email: &email,
            name: self.name,
            password_hash: "$argon2id$",
            org: self.org,
            org_name: self.name,
            org_slug: self.name,
        })
        .await?;
        tx.commit().await?;
        let mut tx = store.tenant(self.org).await?;
        let dna_custom = json!({ "identity": { "name": self.name } });
        let business_name = format!("{} plumbing", self.name);
        tx.create_project(&NewProject {
            id: self.project,
            slug: self.name,
            business_name: &business_name,
            dna_custom: &dna_custom,
        })
        .await?;
        Ok(tx.commit().await?)
    }
}

/// A number of New Zealand ending in four digits.
pub(crate) fn phone(last: u16) -> Phone {
    Phone::parse_e164(&format!("+6427555{last:04}")).expect("E.164")
}

/// Makes a plain lead.
pub(super) async fn create_lead(tx: &mut TenantTx, project: ProjectId, id: LeadId) -> Result<()> {
    let answers = json!({});
    let new = NewLead {
        id,
        project_id: project,
        source: LeadSource::Manual,
        name: "Ada",
        phone_raw: None,
        phone: None,
        email: None,
        message: None,
        answers: &answers,
    };
    Ok(tx.create_lead(&new).await?)
}

/// Makes a call ticket.
pub(super) async fn create_ticket(
    tx: &mut TenantTx,
    project: ProjectId,
    id: TicketId,
    lead: Option<LeadId>,
) -> Result<()> {
    let params = json!({});
    let new = NewTicket {
        id,
        project_id: project,
        task: "sales_agent",
        actor: "call",
        lead_id: lead,
        params: &params,
        created_by: "conformance",
        deadline_at: None,
    };
    Ok(tx.create_ticket(&new).await?)
}

/// How a bridge is answered.
pub(crate) fn plan() -> BridgePlan {
    BridgePlan {
        boss: phone(1),
        customer: phone(2),
        caller_id: "+6498870000".to_owned(),
        whisper: "A lead: Zoë says \"hot\u{1F525} water\"".to_owned(),
        language: "en-NZ".to_owned(),
        ring_seconds: 20,
        max_seconds: u32::MAX,
        record: true,
    }
}

/// Opens a bridge for a lead that has none.
pub(super) async fn open_bridge(tx: &mut FencedTx, work: Work) -> Result<BridgeId> {
    let (id, plan) = (BridgeId::new(), plan());
    let opened = tx.open_bridge(&NewBridge { id, lead_id: work.lead, ticket_id: work.ticket, plan: &plan }).await?;
    assert!(opened, "the lead has no open bridge");
    Ok(id)
}

/// A call to intend.
pub(super) fn call_effect<'a>(
    ticket: TicketId,
    bridge: Option<BridgeId>,
    key: &'a str,
    to: &'a Phone,
) -> NewEffect<'a> {
    NewEffect {
        id: EffectId::new(),
        bridge_id: bridge,
        ticket_id: ticket,
        kind: "call",
        key,
        account: ACCOUNT,
        to_number: to,
        from_number: "+6498870000",
        body: None,
    }
}

/// Runs a transaction again when it did not get a lock in time, as its error says it may: a loaded machine is no failure.
pub(super) async fn until_free<T>(transaction: impl AsyncFn() -> Result<T>) -> Result<T> {
    for _ in 0..9 {
        match transaction().await {
            Err(error) if error.downcast_ref::<StorageError>().is_some_and(StorageError::is_busy) => {}
            answer => return answer,
        }
    }
    transaction().await
}

/// Whether every item occurs once.
pub(super) fn all_different<T: Ord + Copy>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
