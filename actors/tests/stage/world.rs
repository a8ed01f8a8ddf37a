//! A world to act in: real rows in a folder of their own, and an outside that misbehaves on request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use apex_actors::ports::{
    Analysis, Answer, Briefing, CallRequest, Found, Llm, PlacedCall, PortError, Ports, SendError, Telephony,
    TextRequest,
};
use apex_actors::{CurrentNode, RestartRule, Rules, World};
use apex_storage::blob::Blobs;
use apex_storage::clock::SystemClock;
use apex_storage::mirror::{self, MirrorWriter};
use apex_storage::model::call::{Recording, Report};
use apex_storage::model::phone::Phone;
use apex_storage::model::{OrgId, ProjectId, TicketId, UserId};
use apex_storage::{Backend, LookupKey, NewProject, NewTicket, NewUser, Node, Options, Store};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The whole stage; the folder goes with it.
pub struct Stage {
    pub world: Arc<World>,
    pub node: CurrentNode,
    pub outside: Arc<Outside>,
    pub org: OrgId,
    folder: TempDir,
}

/// Plays the providers.
#[derive(Default)]
pub struct Outside {
    /// Whether a look at the provider panics.
    pub check_panics: AtomicBool,
    /// The text messages that were taken.
    pub texts: Mutex<Vec<String>>,
    /// The calls that the provider says it made.
    pub calls: Mutex<Vec<PlacedCall>>,
}

/// Rules under which every wait is short.
pub fn quick() -> Rules {
    let second = Duration::from_secs(1);
    Rules {
        ring_timeout: second,
        lookup_for: second,
        silent_after: second,
        recording_wait: second,
        max_duration: second,
        node_permits: 100_000,
        project_permits: 10_000,
        live_trees: 1000,
        call_timeout: 30 * second,
        idle_after: 300 * second,
        drain_patience: 10 * second,
        sweep_every: Duration::from_millis(20),
        context_ttl: 3600 * second,
        hold_effects: false,
        timeline_kept: std::time::Duration::from_hours(24 * 90),
        outcome_within: std::time::Duration::from_mins(30),
        restart: RestartRule {
            backoff: Duration::from_millis(1),
            backoff_cap: Duration::from_millis(2),
            parked_for: Duration::from_millis(300),
            ..RestartRule::default()
        },
    }
}

impl Stage {
    pub async fn new(rules: Rules) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Options {
            backend: Backend::Sqlite(folder.path().join("apex.db")),
            clock: Arc::new(SystemClock),
            lookup_key: LookupKey::derive(b"stage"),
            max_megabytes: None,
        })
        .await
        .expect("a store");
        let outside = Arc::new(Outside::default());
        let ports =
            Ports { telephony: Arc::clone(&outside) as Arc<dyn Telephony>, llm: Arc::clone(&outside) as Arc<dyn Llm> };
        let world = World {
            ports,
            mirror: MirrorWriter::new(mirror::memory(rules.context_ttl), 1000),
            blobs: Blobs::open(folder.path()).expect("a blob folder"),
            prices: apex_config::prices::Prices::default(),
            rules,
            public_url: "https://stage.example".into(),
            lane: Arc::new(apex_actors::dial_lane::DialLane::new(1000)),
            beat_store: None,
            data_dir: folder.path().to_owned(),
            store,
        };
        let node = Node { id: format!("stage:{}", uuid::Uuid::now_v7()), address: "http://stage.example".into() };
        let org = register(&world.store).await;
        Self { world: Arc::new(world), node: Arc::new(RwLock::new(node)), outside, org, folder }
    }

    /// A project with a boss.
    pub async fn project(&self) -> ProjectId {
        assert!(self.folder.path().exists());
        let id = ProjectId::new();
        let dna = json!({ "modules": { "lead_gen": { "sales_bridge": { "destination_phone": "+6421555010" } } } });
        let mut tx = self.world.store.tenant(self.org).await.expect("a transaction");
        let new = NewProject { id, slug: &id.to_string(), business_name: "Acme Plumbing", dna_custom: &dna };
        tx.create_project(&new).await.expect("a project");
        tx.commit().await.expect("a commit");
        id
    }

    /// A committed ticket that nobody was told of.
    pub async fn ticket(&self, project_id: ProjectId, actor: &str, task: &str, params: &Value) -> TicketId {
        let id = TicketId::new();
        let mut tx = self.world.store.tenant(self.org).await.expect("a transaction");
        tx.create_ticket(&NewTicket {
            id,
            project_id,
            task,
            actor,
            lead_id: None,
            params,
            created_by: "stage",
            deadline_at: None,
        })
        .await
        .expect("a ticket");
        tx.commit().await.expect("a commit");
        id
    }
}

async fn register(store: &Store) -> OrgId {
    let (id, org) = (UserId::new(), OrgId::new());
    let mut tx = store.identity().await.expect("a transaction");
    tx.register(&NewUser {
        id,
        email: "ada@stage.example",
        name: "Ada",
        password_hash: "none",
        org,
        org_name: "Stage",
        org_slug: "stage",
    })
    .await
    .expect("an organisation");
    tx.commit().await.expect("a commit");
    org
}

/// Waits for a state, not for a time.
pub async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(2));
    let waiting = async {
        while !reached().await {
            looks.tick().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), waiting).await.is_ok();
    assert!(in_time, "waited in vain for: {what}");
}

fn absent<T>() -> Result<T, PortError> {
    Err(PortError::Missing("not on this stage".into()))
}

#[async_trait]
impl Telephony for Outside {
    fn account(&self) -> &'static str {
        "AC00000000000000000000000000000000"
    }

    fn number(&self) -> &'static str {
        "+6495550100"
    }

    async fn place_call(&self, _: &CallRequest) -> Result<String, SendError> {
        Err(SendError::NotSent { reason: "no calls on this stage".into(), retry_after: None })
    }

    async fn send_text(&self, request: &TextRequest) -> Result<String, SendError> {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.push(request.body.clone());
        Ok(format!("SM{:032}", texts.len()))
    }

    async fn find_calls(&self, _: &Phone, _: &str) -> Result<Vec<Found>, PortError> {
        Ok(vec![])
    }

    async fn calls_since(&self, _: DateTime<Utc>) -> Result<Vec<PlacedCall>, PortError> {
        Ok(self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn find_texts(&self, _: &Phone, _: &str, _: &str) -> Result<Vec<Found>, PortError> {
        Ok(vec![])
    }

    async fn look_at(&self, _: &str) -> Result<Vec<Report>, PortError> {
        absent()
    }

    async fn hang_up(&self, _: &str) -> Result<(), PortError> {
        Ok(())
    }

    async fn recording_of(&self, _: &str) -> Result<Recording, PortError> {
        absent()
    }

    async fn recording_audio(&self, _: &str) -> Result<Vec<u8>, PortError> {
        absent()
    }

    async fn check(&self) -> Result<(), PortError> {
        assert!(!self.check_panics.load(Ordering::SeqCst), "the provider was told to make us panic");
        Ok(())
    }
}

#[async_trait]
impl Llm for Outside {
    fn is_configured(&self) -> bool {
        false
    }

    async fn transcribe(&self, _: Vec<u8>, _: &str, _: &Briefing) -> Result<Answer<String>, PortError> {
        Err(PortError::NotConfigured("a language model"))
    }

    async fn analyse(&self, _: &str, _: &Briefing) -> Result<Answer<Analysis>, PortError> {
        Err(PortError::NotConfigured("a language model"))
    }
}
