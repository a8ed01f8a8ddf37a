//! The mirror of many processes. Key `context:{id}` holds the ticket's JSON itself, so that others can read it, too.
//!
//! One task owns the connection: it connects, subscribes, sends a heartbeat and connects again, for ever. Commands use what
//! it has published and never wait for a connection: while there is none, a copy is simply not kept and not found.

use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, FromRedisValue, IntoConnectionInfo, Msg, ProtocolVersion, PushInfo,
    PushKind, RedisError, RedisResult, Script, ScriptInvocation,
};
use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::line::Line;
use super::watchers::{Wake, Watchers};
use super::{ERRORS, Mirror, Mirrored, SKIPPED, UP};
use crate::clock::jitter;

/// Tells all processes which ticket has moved on.
const WAKE_CHANNEL: &str = "context-wake";

/// How long a reader waits.
const GET_WITHIN: Duration = Duration::from_millis(50);

/// How long a writer waits.
const PUT_WITHIN: Duration = Duration::from_millis(200);

/// How long a start waits for the first connection.
const START_WITHIN: Duration = Duration::from_secs(1);

/// How long connecting and subscribing may take.
const CONNECT_WITHIN: Duration = Duration::from_millis(900);

/// How often the connection must show that it lives; without it a silent break is never noticed.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How long a heartbeat may take.
const HEARTBEAT_WITHIN: Duration = Duration::from_secs(1);

/// The first and the longest pause before connecting again; up to half of it is added by lot.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Commands that may queue on the connection; more wait, within their time.
const PIPELINE: usize = 1_024;

/// Sets the copy unless a newer one is there, and says to all when it tells of more than what was there. Keys: the copy. Arguments: body, seq, seconds to live,
/// channel, id.
const PUT: &str = r"
local there = redis.call('GET', KEYS[1])
local seq = nil
if there then
  local read, document = pcall(cjson.decode, there)
  if read and type(document) == 'table' and type(document.data) == 'table' then
    seq = tonumber(document.data.seq)
    if seq and seq > tonumber(ARGV[2]) then return 0 end
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
if seq ~= tonumber(ARGV[2]) then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1";

/// The copy and the milliseconds it has left.
const GET: &str = r"
local there = redis.call('GET', KEYS[1])
if not there then return false end
return {there, redis.call('PTTL', KEYS[1])}";

/// Copies on a server.
pub(super) struct Redis {
    ttl: Duration,
    put: Script,
    get: Script,
    watchers: Arc<Watchers>,
    line: Arc<Line<MultiplexedConnection>>,
    _task: JoinSet<()>,
}

impl Redis {
    /// Waits for the server up to [`START_WITHIN`] and goes on without it.
    pub async fn start(url: &str, ttl: Duration) -> Self {
        let watchers = Arc::<Watchers>::default();
        let line = Arc::<Line<MultiplexedConnection>>::default();
        let mut task = JoinSet::new();
        metrics::gauge!(UP).set(0);
        match client(url) {
            Ok(client) => {
                let (tried, mut first) = watch::channel(());
                let keeper = Keeper { client, line: Arc::clone(&line), watchers: Arc::clone(&watchers) };
                task.spawn(keeper.run(tried));
                let _ = timeout(START_WITHIN, first.changed()).await;
            }
            Err(error) => {
                tracing::error!(error.kind = ?error.kind(), "the address of the ticket mirror cannot be read");
            }
        }
        Self { ttl, put: Script::new(PUT), get: Script::new(GET), watchers, line, _task: task }
    }

    /// Runs a script on the connection of the moment; `None` when there is none, or no answer in time. After some silence in a
    /// row nothing is sent until the keeper has an answer, so that nobody waits for a server that is frozen.
    async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        within: Duration,
        call: &ScriptInvocation<'_>,
    ) -> Option<T> {
        let Some(mut connection) = self.line.get() else {
            metrics::counter!(SKIPPED, "operation" => operation).increment(1);
            return None;
        };
        let failure = match timeout(within, call.invoke_async(&mut connection)).await {
            Ok(Ok(answer)) => {
                self.line.answered();
                return Some(answer);
            }
            Ok(Err(error)) => kind(&error),
            Err(_) => {
                self.line.silent();
                "timeout".to_owned()
            }
        };
        tracing::debug!(mirror.operation = operation, error.kind = failure, "ticket mirror did not answer");
        metrics::counter!(ERRORS, "operation" => operation).increment(1);
        None
    }
}

#[async_trait]
impl Mirror for Redis {
    async fn put(&self, id: Uuid, seq: i64, body: &str) {
        let mut call = self.put.key(key(id));
        call.arg(body).arg(seq).arg(self.ttl.as_secs().max(1)).arg(WAKE_CHANNEL).arg(id.to_string());
        let done: Option<i64> = self.run("put", PUT_WITHIN, &call).await;
        if done.is_none() {
            self.watchers.wake(id); // the rows have moved on all the same, and the readers here can be told
        }
    }

    async fn get(&self, id: Uuid) -> Option<Mirrored> {
        let call = self.get.key(key(id));
        let found: Option<(String, i64)> = self.run("get", GET_WITHIN, &call).await?;
        let (body, left) = found?;
        let seq = seq_of(&body)?;
        let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
        Some(Mirrored { seq, body, age: self.ttl.saturating_sub(left) })
    }

    fn watch(&self, id: Uuid) -> Wake {
        self.watchers.watch(id)
    }

    fn is_up(&self) -> bool {
        self.line.is_up()
    }
}

fn key(id: Uuid) -> String {
    format!("context:{id}")
}

/// `data.seq` of a ticket's JSON. A document without it is not one of ours.
fn seq_of(body: &str) -> Option<i64> {
    #[derive(serde::Deserialize)]
    struct Context {
        data: Data,
    }
    #[derive(serde::Deserialize)]
    struct Data {
        seq: i64,
    }
    serde_json::from_str::<Context>(body).ok().map(|context| context.data.seq)
}

fn client(url: &str) -> RedisResult<Client> {
    let info: ConnectionInfo = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings))
}

/// Never the error's text: it may quote what was sent.
fn kind(error: &RedisError) -> String {
    format!("{:?}", error.kind())
}

/// Keeps the connection.
struct Keeper {
    client: Client,
    line: Arc<Line<MultiplexedConnection>>,
    watchers: Arc<Watchers>,
}

impl Keeper {
    /// For ever. `tried` is told when the first attempt is over.
    async fn run(self, tried: watch::Sender<()>) {
        let address = self.client.get_connection_info().addr().to_string();
        let (mut pause, mut warned) = (PAUSE.0, false);
        loop {
            let failure = match self.connect().await {
                Ok((connection, pushes)) => {
                    tracing::info!(redis.address = address, "ticket mirror is up");
                    self.line.set(Some(connection.clone()));
                    self.watchers.wake_all(); // hints may have been missed
                    tried.send_replace(());
                    (pause, warned) = (PAUSE.0, false);
                    let failure = self.serve(connection, pushes).await;
                    self.line.set(None);
                    failure
                }
                Err(failure) => failure,
            };
            if !warned {
                tracing::warn!(
                    redis.address = address,
                    error.kind = failure,
                    "ticket mirror is down, tickets are read from rows"
                );
                warned = true;
            }
            tried.send_replace(());
            sleep(pause + pause * u32::from(jitter()) / 2_000).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn connect(&self) -> Result<(MultiplexedConnection, mpsc::UnboundedReceiver<PushInfo>), String> {
        let (sender, pushes) = mpsc::unbounded_channel();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(HEARTBEAT_WITHIN))
            .set_pipeline_buffer_size(PIPELINE)
            .set_push_sender(sender);
        let connect = async {
            let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
            connection.subscribe(WAKE_CHANNEL).await?;
            Ok(connection)
        };
        match timeout(CONNECT_WITHIN, connect).await {
            Ok(Ok(connection)) => Ok((connection, pushes)),
            Ok(Err(error)) => Err(kind(&error)),
            Err(_) => Err("timeout".to_owned()),
        }
    }

    /// Hands out hints until the connection is gone; returns why.
    async fn serve(
        &self,
        mut connection: MultiplexedConnection,
        mut pushes: mpsc::UnboundedReceiver<PushInfo>,
    ) -> String {
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                push = pushes.recv() => match push {
                    None => return "closed".to_owned(),
                    Some(push) if push.kind == PushKind::Disconnection => return "disconnected".to_owned(),
                    Some(push) => self.hint(push),
                },
                _ = beat.tick() => {
                    let ping = ::redis::cmd("PING");
                    match timeout(HEARTBEAT_WITHIN, ping.query_async::<()>(&mut connection)).await {
                        Ok(Ok(())) => self.line.answered(),
                        Ok(Err(error)) => return kind(&error),
                        Err(_) => return "timeout".to_owned(),
                    }
                }
            }
        }
    }

    fn hint(&self, push: PushInfo) {
        let id = Msg::from_push_info(push).and_then(|message| message.get_payload::<String>().ok());
        if let Some(id) = id.and_then(|id| id.parse().ok()) {
            self.watchers.wake(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seq_is_read_from_the_document() {
        assert_eq!(seq_of(r#"{"context_id":"1","data":{"status":"processing","seq":7}}"#), Some(7));
        for body in ["", "7", "{}", r#"{"data":{}}"#, r#"{"data":{"seq":"7"}}"#] {
            assert_eq!(seq_of(body), None, "{body}");
        }
    }

    #[tokio::test]
    async fn without_a_server_nothing_is_found_and_watchers_here_still_wake() {
        for url in ["redis://127.0.0.1:1", "not an address"] {
            let mirror = Redis::start(url, Duration::from_mins(1)).await;
            let id = Uuid::from_u128(1);
            let mut wake = mirror.watch(id);
            mirror.put(id, 1, r#"{"data":{"seq":1}}"#).await;
            wake.changed().await;
            assert_eq!(mirror.get(id).await, None);
            assert!(!mirror.is_up());
        }
    }
}
