//! A running Apex: everything wired, listening, and able to stop in order.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::Context;
use apex_actors::dial_lane::DialLane;
use apex_actors::{Directory, RestartRule, Rules, World};
use apex_config::{Config, DatabaseUrl, prices::Prices};
use apex_http::auth::token::TokenIssuer;
use apex_http::{AppState, Parts, Rates, TwilioLine};
use apex_sandbox::Sandbox;
use apex_storage::blob::Blobs;
use apex_storage::mirror::{self, Mirror, MirrorWriter};
use apex_storage::model::phone;
use apex_storage::{Backend, Intake, LookupKey, Options, Store};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::Pace;
use crate::data_dir::{self, DataDir};
use crate::outside::{self, Outside};
use crate::planted;
use crate::serve::{Patience, serve};
use crate::telemetry;

/// Most ticket copies that wait for the mirror; older ones are dropped, since a copy may be.
const MIRROR_QUEUE: usize = 4096;
/// How long open requests may take to end when the server stops.
const HTTP_PATIENCE: Duration = Duration::from_secs(5);

/// A running Apex.
pub struct Running {
    /// The base address of the API.
    pub api: String,
    /// The base address of the operator's port.
    pub admin: String,
    /// Whether the outside is played.
    pub is_sandbox: bool,
    /// Whether nothing leaves until a person releases it.
    pub holds_effects: bool,
    store: Store,
    directory: Directory,
    world: Arc<World>,
    closing: watch::Sender<bool>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Ends the operator's port: it answers as long as there is something to tell.
    operator: CancellationToken,
    sandbox: Option<Sandbox>,
    _data_dir: DataDir,
}

/// Starts everything. When it returns, both ports answer.
///
/// # Errors
///
/// Says what could not be started; nothing is left running.
pub async fn start(config: Config, pace: Pace) -> anyhow::Result<Running> {
    let data_dir = DataDir::lock(&config.data_dir)?;
    let api = bind(config.server.bind, "APEX_BIND").await?;
    let admin = bind(config.server.admin_bind, "APEX_ADMIN_BIND").await?;
    let api_url = format!("http://{}", api.local_addr()?);
    let admin_url = format!("http://{}", admin.local_addr()?);
    let public_url = config.server.public_url.as_ref().map_or_else(|| api_url.clone(), ToString::to_string);
    let prometheus = telemetry::metrics()?;
    apex_actors::metrics::describe();
    apex_http::metrics::describe();
    let warm = tokio::task::spawn_blocking(phone::warm_up);
    let store = open_store(&config, &data_dir).await?;
    let outside = outside::open(&config, pace).await?;
    let mirror = open_mirror(&config).await;
    let world = world(&config, &store, &outside, &mirror, &public_url, &data_dir)?;
    let address = config.cluster.advertise_url.as_ref().map_or_else(|| api_url.clone(), ToString::to_string);
    let node = Arc::new(RwLock::new(data_dir.node(address)));
    let directory = Directory::open(Arc::clone(&world), node).await?;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let (intake, committing) = Intake::new(store.clone());
    tasks.spawn(committing);
    let (closing, watching) = watch::channel(false);
    let parts = parts(&config, &data_dir, &world, &outside, (intake, directory.clone(), mirror, watching))?;
    let state = AppState::new(parts);
    warm.await?;
    directory.start_sweeping();
    let patience = Patience::of(&config.server);
    serve(&tasks, &stop, api, apex_http::router(state.clone()), patience);
    let operator = CancellationToken::new();
    serve(&tasks, &operator, admin, apex_http::admin_router(state, move || prometheus.render()), patience);
    Ok(Running {
        api: api_url,
        admin: admin_url,
        is_sandbox: outside.sandbox.is_some(),
        holds_effects: config.calls.hold_effects,
        store,
        directory,
        world,
        closing,
        tasks,
        stop,
        operator,
        sandbox: outside.sandbox,
        _data_dir: data_dir,
    })
}

/// What only exists while the program runs.
type Live = (Intake, Directory, Arc<dyn Mirror>, watch::Receiver<bool>);

fn parts(
    config: &Config,
    data_dir: &DataDir,
    world: &World,
    outside: &Outside,
    (intake, directory, mirror, closing): Live,
) -> anyhow::Result<Parts> {
    let secret = data_dir.secret(config.auth.jwt_secret.as_ref(), "jwt-secret")?;
    Ok(Parts {
        store: world.store.clone(),
        intake,
        directory,
        mirror,
        blobs: world.blobs.clone(),
        tokens: TokenIssuer::new(&secret)?,
        access_ttl: config.auth.access_ttl,
        refresh_ttl: config.auth.refresh_ttl,
        context_ttl: config.redis.ttl,
        public_url: world.public_url.clone(),
        body_limit: config.limits.body_bytes,
        body_within: config.server.body_within,
        twilio: Some(TwilioLine::new(
            &outside.telephone.account_sid,
            outside.telephone.auth_token.clone(),
            &outside.telephone.number,
        )),
        sandbox: outside.sandbox.is_some(),
        holds_effects: config.calls.hold_effects,
        rates: rates(config),
        allowed_origins: config.server.allowed_origins.clone(),
        closing,
    })
}

impl Running {
    /// Stops in order: not ready, every actor ends what it has in hand, projects are given back, no new requests.
    pub async fn stop(self) {
        self.closing.send_replace(true);
        // Callbacks of live calls are answered, and forms are committed, for as long as work in hand takes to end.
        for project in self.directory.shutdown().await {
            tracing::warn!(project.id = %project, "still busy at the stop; its rows are what remains");
        }
        self.stop.cancel();
        self.tasks.close();
        self.operator.cancel();
        if tokio::time::timeout(HTTP_PATIENCE, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests were still open at the stop");
        }
        self.world.mirror.flush().await;
        self.store.close().await;
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
    }
}

/// Opens the database that the settings name.
pub(crate) async fn open_store(config: &Config, data_dir: &DataDir) -> anyhow::Result<Store> {
    let opened = Store::open(options(config, data_dir)?).await;
    opened.context("DATABASE_URL: the database cannot be used")
}

/// Opens it beside a server that may be running: without the lock of the data directory, and without making its secrets.
pub(crate) async fn open_store_beside(config: &Config) -> anyhow::Result<Store> {
    let key = data_dir::kept_secret(&config.data_dir, config.auth.kms_keys.first(), "kms-key")?;
    let key = LookupKey::derive(key.unwrap_or_default().expose_secret().as_bytes());
    let opened = Store::open(options_with(config, key)?).await;
    opened.context("DATABASE_URL: the database cannot be used")
}

fn options(config: &Config, data_dir: &DataDir) -> anyhow::Result<Options> {
    let key: SecretString = data_dir.secret(config.auth.kms_keys.first(), "kms-key")?;
    options_with(config, LookupKey::derive(key.expose_secret().as_bytes()))
}

fn options_with(config: &Config, lookup_key: LookupKey) -> anyhow::Result<Options> {
    let backend = match &config.database.url {
        DatabaseUrl::Sqlite(path) => Backend::Sqlite(path.clone()),
        DatabaseUrl::Postgres(url) => {
            Backend::Postgres { url: url.clone(), max_connections: config.database.max_connections }
        }
    };
    Ok(Options { backend, clock: planted::clock(config)?, lookup_key, max_megabytes: config.database.max_megabytes })
}

/// The beat asks one thing at a time.
fn beat_options(config: &Config, data_dir: &DataDir) -> anyhow::Result<Options> {
    let mut options = options(config, data_dir)?;
    if let Backend::Postgres { max_connections, .. } = &mut options.backend {
        *max_connections = 1;
    }
    Ok(options)
}

async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{setting}: cannot listen on {address}; stop what uses it, or set {setting} to another address")
    })
}

async fn open_mirror(config: &Config) -> Arc<dyn Mirror> {
    match &config.redis.url {
        Some(url) => mirror::redis(url.expose_secret(), config.redis.ttl).await,
        None => mirror::memory(config.redis.ttl),
    }
}

fn world(
    config: &Config,
    store: &Store,
    outside: &Outside,
    mirror: &Arc<dyn Mirror>,
    public_url: &str,
    data_dir: &DataDir,
) -> anyhow::Result<Arc<World>> {
    Ok(Arc::new(World {
        store: store.clone(),
        ports: outside.ports.clone(),
        mirror: MirrorWriter::new(Arc::clone(mirror), MIRROR_QUEUE),
        blobs: Blobs::open(&data_dir.path().join("blobs"))?,
        prices: Prices::default(),
        rules: rules(config),
        public_url: public_url.trim_end_matches('/').to_owned(),
        lane: Arc::new(DialLane::new(lane_pace(config, outside))),
        beat_store: store.is_postgres().then(|| beat_options(config, data_dir)).transpose()?,
        data_dir: data_dir.path().to_owned(),
    }))
}

/// The sandbox has no limit of its own.
fn lane_pace(config: &Config, outside: &Outside) -> u32 {
    if outside.sandbox.is_some() { 1000 } else { config.twilio.calls_per_second }
}

fn rates(config: &Config) -> Rates {
    let is_behind_a_proxy = config.server.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    if is_behind_a_proxy && config.limits.address_per_second > 0 {
        tracing::warn!(
            "APEX_ADDRESS_PER_SECOND counts a proxy as one client: set it to 0 and limit addresses at the proxy"
        );
    }
    Rates {
        organization_per_second: config.limits.organization_per_second,
        address_per_second: config.limits.address_per_second,
        logins_per_minute: config.limits.logins_per_minute,
        requests_in_hand: config.limits.node_permits,
    }
}

fn rules(config: &Config) -> Rules {
    Rules {
        ring_timeout: config.calls.ring_timeout,
        lookup_for: config.calls.lookup_for,
        silent_after: config.calls.silent_after,
        recording_wait: config.calls.recording_wait,
        max_duration: config.calls.max_duration,
        node_permits: config.limits.node_permits,
        project_permits: config.limits.project_permits,
        live_trees: config.limits.live_trees,
        call_timeout: config.limits.call_timeout,
        idle_after: config.limits.idle_after,
        drain_patience: config.limits.drain_patience,
        sweep_every: config.limits.sweep_every,
        context_ttl: config.redis.ttl,
        timeline_kept: config.limits.timeline_kept,
        hold_effects: config.calls.hold_effects,
        outcome_within: config.calls.outcome_within,
        restart: RestartRule::default(),
    }
}
