//! A small office for tests: one project with an open bridge, on rows of its own.

use apex_actors::callback::CallbackRef;
use apex_storage::clock::SystemClock;
use apex_storage::model::call::Report;
use apex_storage::model::phone::Phone;
use apex_storage::model::{BridgeId, EffectId, LeadSource, OrgId, ProjectId, TicketId, UserId};
use apex_storage::{
    Backend, BridgePlan, Claim, Intake, Lead, LeadFilter, LeadIntake, Lease, LookupKey, NewBridge, NewEffect,
    NewProject, NewTicket, NewUser, Node, Options, Route, Store,
};
use serde_json::json;
use tokio::task::JoinSet;

use super::callback::Callback;
use super::line::{Line, Nudge};

/// The project `kereru` with a lead whose bridge is open; Mere waits on +64275559001, the boss has +64275550001.
pub(crate) struct Office {
    pub intake: Intake,
    pub about: CallbackRef,
    store: Store,
    lease: Lease,
    _tasks: JoinSet<()>,
    _folder: tempfile::TempDir,
}

const ACCOUNT: &str = "AC00112233445566778899aabbccddeeff";
const PUBLIC_URL: &str = "https://hooks.kereru.example";

impl Office {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(Options {
            backend: Backend::Sqlite(folder.path().join("apex.db")),
            clock: std::sync::Arc::new(SystemClock),
            lookup_key: LookupKey::derive(b"test"),
            max_megabytes: None,
        })
        .await
        .expect("an empty database");
        let (intake, serve) = Intake::new(store.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve);
        let (org, project) = (OrgId::new(), ProjectId::new());
        found(&store, org, project).await;
        let lease = claim(&store, org, project).await;
        let about = bridge(&store, &intake, &lease).await;
        Self { intake, about, store, lease, _tasks: tasks, _folder: folder }
    }

    pub fn line(&self) -> Line<'_> {
        Line { store: &self.store, account: ACCOUNT, public_url: PUBLIC_URL }
    }

    /// A callback about the open bridge.
    pub fn callback(&self, kind: &str, body: &str) -> Callback {
        let url = self.about.url("", kind);
        Callback::read(&url.parse().expect("an address of ours"), body.as_bytes())
    }

    /// A callback about a message that a task sends.
    pub async fn text_callback(&self, body: &str) -> Callback {
        let about = CallbackRef { ticket: TicketId::new(), bridge: None, effect: EffectId::new(), ..self.about };
        let mut tx = self.store.tenant(about.org).await.expect("a transaction");
        let ticket = NewTicket {
            id: about.ticket,
            project_id: about.project,
            task: "notify_sms",
            actor: "task",
            lead_id: None,
            params: &json!({}),
            created_by: "test",
            deadline_at: None,
        };
        tx.create_ticket(&ticket).await.expect("a ticket");
        tx.commit().await.expect("a commit");
        let mut callback = self.callback("sms/status", body);
        callback.about = Some(about);
        callback
    }

    pub fn about_another_project(&self) -> CallbackRef {
        CallbackRef { project: ProjectId::new(), bridge: Some(BridgeId::new()), ..self.about }
    }

    pub fn nudge(&self, actor: &str) -> Nudge {
        nudge_about(&self.about, actor)
    }

    /// What was kept of the bridge: kind, sid, report.
    pub async fn reports(&self) -> Vec<(String, String, Report)> {
        let mut tx = self.store.tenant_read(self.about.org).await.expect("a transaction");
        let rows = tx.reports(self.about.ticket).await.expect("rows");
        rows.into_iter().map(|row| (row.kind, row.sid, row.report)).collect()
    }

    pub async fn leads(&self, source: LeadSource) -> Vec<Lead> {
        let mut tx = self.store.tenant_read(self.about.org).await.expect("a transaction");
        let leads = tx.leads(&LeadFilter { limit: 100, ..LeadFilter::default() }).await.expect("rows");
        leads.into_iter().filter(|lead| lead.source == source).collect()
    }

    /// The provider's id of the bridge's call becomes known.
    pub async fn bind(&self, sid: &str) {
        let tx = self.store.fenced(&self.lease).await.expect("a transaction");
        assert!(tx.mark_sending(self.about.effect).await.expect("a row"));
        let mut tx = self.store.fenced(&self.lease).await.expect("a transaction");
        assert!(tx.mark_live(self.about.effect, sid).await.expect("a row"));
        tx.commit().await.expect("a commit");
    }

    /// A call takes the bridge.
    pub async fn accept(&self, sid: &str) {
        let mut tx = self.store.tenant(self.about.org).await.expect("a transaction");
        assert!(tx.accept_call(self.about.bridge.expect("a bridge"), sid).await.expect("a row"));
        tx.commit().await.expect("a commit");
    }

    pub async fn close(&self) {
        let mut tx = self.store.fenced(&self.lease).await.expect("a transaction");
        tx.close_bridge(self.about.bridge.expect("a bridge"), "cancelled").await.expect("a row");
        tx.commit().await.expect("a commit");
    }
}

/// The nudge that news about this bring.
pub(crate) fn nudge_about(about: &CallbackRef, actor: &str) -> Nudge {
    Nudge { org: about.org, project: about.project, ticket: about.ticket, actor: actor.to_owned() }
}

async fn found(store: &Store, org: OrgId, project: ProjectId) {
    let mut identity = store.identity().await.expect("a transaction");
    let user = NewUser {
        id: UserId::new(),
        email: "boss@kereru.example",
        name: "Boss",
        password_hash: "x",
        org,
        org_name: "Kererū",
        org_slug: "kereru",
    };
    identity.register(&user).await.expect("a user");
    let route = Route { org_id: org, project_id: project, secret_hash: None };
    identity.add_route("slug", "kereru", &route).await.expect("a route");
    identity.commit().await.expect("a commit");
    let dna = json!({"modules": {"lead_gen": {"sales_bridge": {"destination_phone": "027 555 0001"}}}});
    let new = NewProject { id: project, slug: "kereru", business_name: "Kererū", dna_custom: &dna };
    let mut tx = store.tenant(org).await.expect("a transaction");
    tx.create_project(&new).await.expect("a project");
    tx.commit().await.expect("a commit");
}

async fn claim(store: &Store, org: OrgId, project: ProjectId) -> Lease {
    let node = Node { id: "test:1".into(), address: String::new() };
    let mut tx = store.system().await.expect("a transaction");
    tx.register_node(&node, std::time::Duration::from_mins(1)).await.expect("a node");
    let claim = tx.claim(org, project, &node.id).await.expect("a claim");
    tx.commit().await.expect("a commit");
    match claim {
        Claim::Granted(lease) => lease,
        other => panic!("{other:?}"),
    }
}

async fn bridge(store: &Store, intake: &Intake, lease: &Lease) -> CallbackRef {
    let accepted = intake.accept(mere(lease)).await.expect("a lead");
    let (ticket, id, effect) = (accepted.ticket, BridgeId::new(), EffectId::new());
    let number = |text: &str| Phone::parse_e164(text).expect("a number");
    let plan = BridgePlan {
        boss: number("+64275550001"),
        customer: number("+64275559001"),
        caller_id: "+6498889002".into(),
        whisper: "Mere is waiting. Press 1.".into(),
        language: "en-NZ".into(),
        ring_seconds: 25,
        max_seconds: 3600,
        record: true,
    };
    let mut tx = store.fenced(lease).await.expect("a transaction");
    let new = NewBridge { id, lead_id: accepted.lead, ticket_id: ticket, plan: &plan };
    assert!(tx.open_bridge(&new).await.expect("a bridge"));
    let call = NewEffect {
        id: effect,
        bridge_id: Some(id),
        ticket_id: ticket,
        kind: "call",
        key: "call:1",
        account: ACCOUNT,
        to_number: &plan.boss,
        from_number: &plan.caller_id,
        body: None,
    };
    assert!(tx.intend(&call).await.expect("an effect"));
    tx.commit().await.expect("a commit");
    CallbackRef { org: lease.org, project: lease.project, ticket, bridge: Some(id), effect }
}

fn mere(lease: &Lease) -> LeadIntake {
    LeadIntake {
        org: lease.org,
        project: lease.project,
        source: LeadSource::GoogleAds,
        external_id: "lead-1".into(),
        name: "Mere".into(),
        phone_raw: Some("+64275559001".into()),
        email: None,
        message: None,
        answers: json!({}),
        raw: json!({}),
        is_test: false,
        task: "sales_agent",
        actor: "call",
    }
}
