//! The two databases behind one [`Store`].

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, SqliteConnection, SqlitePool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::clock::SharedClock;
use crate::error::StorageError;
use crate::lookup_key::LookupKey;
use crate::reach::{self, Reach};
use crate::room::Room;
use crate::schema_check;
use crate::sql::{Conn, Health, Tx};

/// How long a request waits for a connection to a server that is there.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for the one writer of a file.
const WRITER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a tree waits for a server that is away, so that its actors do not fail again and again meanwhile.
const TREE_PATIENCE: Duration = Duration::from_secs(8);
/// How long a connection that comes back to the pool may be silent: longer than a server stays frozen, shorter than TCP waits.
const RELEASE_WITHIN: Duration = Duration::from_mins(1);
/// So many late answers of what was given up are taken before a connection is closed.
const LATE_ANSWERS: u32 = 3;
/// How long a statement of a request may take before the server ends it.
const STATEMENT_TIMEOUT: &str = "5s";
/// How long a statement waits for a row lock before it gives up.
const LOCK_TIMEOUT: &str = "1s";
/// An open transaction that does nothing for this long is ended by the server: never longer than a lease.
const IDLE_IN_TRANSACTION: &str = "5s";
const SQLITE_READERS: u32 = 4;

/// Trees that use the database at once: the rest of the connections is for requests, callbacks and sweeps.
fn tree_turns(backend: &Backend) -> usize {
    match backend {
        Backend::Sqlite(_) => SQLITE_READERS as usize - 1,
        Backend::Postgres { max_connections, .. } => (*max_connections as usize * 5 / 8).max(1),
    }
}

/// Where the rows are.
#[derive(Clone, Debug)]
pub enum Backend {
    /// A file, for one machine.
    Sqlite(PathBuf),
    /// A server, for one or many machines.
    Postgres {
        /// `postgres://...`; the login must be NOINHERIT.
        url: SecretString,
        /// Most connections of this node.
        max_connections: u32,
    },
}

/// What a store is opened with.
#[derive(Clone)]
pub struct Options {
    /// Where the rows are.
    pub backend: Backend,
    /// Time.
    pub clock: SharedClock,
    /// The key of look-up columns.
    pub lookup_key: LookupKey,
    /// Largest size of a `SQLite` file in megabytes; `None`: as large as the disk allows.
    pub max_megabytes: Option<u32>,
}

/// The facts. Cheap to clone; its pools cannot be reached without a tenant or a role.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: Pool,
    health: Health,
    options: Options,
    /// Turns of the trees: with very many at work, requests and callbacks still find a connection at once.
    turns: Arc<Semaphore>,
    /// Held, not read: what it runs ends with the store.
    _tasks: JoinSet<()>,
}

enum Pool {
    Postgres(PgPool),
    Sqlite { read: SqlitePool, write: SqlitePool },
}

/// Under which role a transaction runs. On SQLite there are no roles.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    Request,
    Ingest,
    Worker,
    Auth,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Request => "app_rt",
            Self::Ingest => "app_ingest",
            Self::Worker => "app_worker",
            Self::Auth => "app_auth",
        }
    }
}

impl Store {
    /// Opens the database, brings its tables up to date, and refuses when row security would not hold.
    ///
    /// # Errors
    ///
    /// `Setup` says what to change; `Database` when it cannot be reached; `Migration` when a step failed.
    pub async fn open(options: Options) -> Result<Self, StorageError> {
        let (room, mut tasks) = (Room::of(options.max_megabytes), JoinSet::new());
        let turns = Arc::new(Semaphore::new(tree_turns(&options.backend)));
        let (pool, reach) = match &options.backend {
            Backend::Sqlite(path) => {
                reach::no_server();
                (open_sqlite(path, &room).await?, None)
            }
            Backend::Postgres { url, max_connections } => {
                let server = postgres_options(url)?;
                let pool = open_postgres(server.clone(), *max_connections).await?;
                (pool, Some(Reach::watch(server, &mut tasks)))
            }
        };
        Ok(Self(Arc::new(Inner { pool, health: Health { reach, room }, options, turns, _tasks: tasks })))
    }

    /// Waits for a tree's turn with the database, however long that takes: whoever waits here fails nobody and takes no
    /// connection from requests.
    pub(crate) async fn tree_turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.turns).acquire_owned().await.ok()
    }

    /// The time that rows are written with.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.options.clock.now()
    }

    /// The clock itself.
    pub fn clock(&self) -> SharedClock {
        Arc::clone(&self.0.options.clock)
    }

    /// The key of look-up columns.
    pub fn lookup_key(&self) -> &LookupKey {
        &self.0.options.lookup_key
    }

    /// Whether the rows are on a Postgres server.
    pub fn is_postgres(&self) -> bool {
        matches!(self.0.pool, Pool::Postgres(_))
    }

    /// Asks the database for an answer.
    ///
    /// # Errors
    ///
    /// `Database` when there is none.
    pub async fn ping(&self) -> Result<(), StorageError> {
        let ask = async {
            match &self.0.pool {
                Pool::Postgres(pool) => sqlx::query("select 1").execute(pool).await.map(drop)?,
                Pool::Sqlite { read, .. } => sqlx::query("select 1").execute(read).await.map(drop)?,
            }
            Ok(())
        };
        self.0.health.watched(ask).await
    }

    /// Whether the server is away just now: requests are refused at once.
    pub fn is_away(&self) -> bool {
        self.0.health.reach.as_ref().is_some_and(Reach::is_away)
    }

    /// Whether a write was refused a moment ago for want of room.
    pub fn is_full(&self) -> bool {
        self.room().is_full(Instant::now())
    }

    pub(crate) fn room(&self) -> &Room {
        &self.0.health.room
    }

    /// Closes the connections, after what is under way.
    pub async fn close(&self) {
        match &self.0.pool {
            Pool::Postgres(pool) => pool.close().await,
            Pool::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
        }
    }

    /// BEGIN, the role, the limits and the tenant travel in one round trip; a `Uuid` cannot inject.
    pub(crate) async fn begin(&self, role: Role, tenant: Option<uuid::Uuid>) -> Result<Conn, StorageError> {
        let tx = match &self.0.pool {
            Pool::Postgres(pool) => {
                let scope = tenant.map(|org| format!("; select set_config('app.org_id', '{org}', true)"));
                let begin = format!(
                    "begin; set local role {}; set local lock_timeout = '{LOCK_TIMEOUT}';
                     set local statement_timeout = '{STATEMENT_TIMEOUT}'{}",
                    role.name(),
                    scope.unwrap_or_default()
                );
                self.begin_on(pool, &begin).await?
            }
            Pool::Sqlite { write, .. } => {
                let begin = async { Ok(Tx::Sqlite(write.begin_with("begin immediate").await?)) };
                self.0.health.watched(begin).await?
            }
        };
        Ok(Conn::new(tx, self.0.health.clone()))
    }

    /// Connections that broke while they were idle are passed over: nothing was begun on them.
    async fn begin_on(&self, pool: &PgPool, begin: &str) -> Result<Tx, StorageError> {
        let mut left = pool.options().get_max_connections();
        loop {
            let work = async { Ok(Tx::Postgres(pool.begin_with(AssertSqlSafe(begin.to_owned())).await?)) };
            match self.0.health.watched(work).await {
                Err(error) if error.is_broken_connection() && left > 0 => left -= 1,
                answer => return answer,
            }
        }
    }

    /// The same for transactions that only read: on SQLite they do not wait for the one writer.
    pub(crate) async fn begin_read(&self, role: Role, tenant: Option<uuid::Uuid>) -> Result<Conn, StorageError> {
        match &self.0.pool {
            Pool::Postgres(_) => self.begin(role, tenant).await,
            Pool::Sqlite { read, .. } => {
                let begin = async { Ok(Tx::Sqlite(read.begin().await?)) };
                Ok(Conn::new(self.0.health.watched(begin).await?, self.0.health.clone()))
            }
        }
    }

    /// Returns when the server is there, or after a while.
    pub(crate) async fn wait_for_return(&self) {
        if let Some(reach) = &self.0.health.reach {
            reach.back_within(TREE_PATIENCE).await;
        }
    }
}

async fn open_sqlite(path: &std::path::Path, room: &Room) -> Result<Pool, StorageError> {
    let mut options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(WRITER_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    if let Some(pages) = room.pages() {
        options = options.pragma("max_page_count", pages.to_string());
    }
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(WRITER_TIMEOUT)
        .after_release(|connection, _| Box::pin(has_let_go(connection)))
        .connect_with(options.clone())
        .await?;
    sqlx::migrate!("./migrations/sqlite").run(&write).await?;
    schema_check::sqlite(&write).await?;
    let read = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(WRITER_TIMEOUT)
        .connect_with(options.read_only(true))
        .await?;
    Ok(Pool::Sqlite { read, write })
}

/// Whether the connection knows that it is in no transaction. After a full disk `SQLite` has rolled back by itself, and the
/// connection would for ever refuse to begin.
async fn has_let_go(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        connection.ping().await?; // behind a rollback that is still under way
    }
    Ok(!connection.is_in_transaction())
}

fn postgres_options(url: &SecretString) -> Result<PgConnectOptions, StorageError> {
    Ok(PgConnectOptions::from_str(url.expose_secret())?.application_name("apex").options([
        ("search_path", "apex"),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ("client_min_messages", "error"), // a rollback of nothing is no news
    ]))
}

/// A connection is not tried before it is used: while the server is frozen it stays in the pool instead of being replaced, and
/// one that broke is passed over by whoever begins on it.
async fn open_postgres(options: PgConnectOptions, max_connections: u32) -> Result<Pool, StorageError> {
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(lets_go(connection)))
        .connect_with(options)
        .await?;
    match sqlx::query("create schema if not exists apex").execute(&pool).await {
        // Nodes that start at once: the catalogue's unique rule tells all but the first, once that one has committed.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
        created => created.map(drop)?,
    }
    sqlx::migrate!("./migrations/postgres").run(&pool).await?; // as the owner; takes an advisory lock
    schema_check::postgres(&pool).await?;
    Ok(Pool::Postgres(pool))
}

/// Ends whatever was given up in the middle, as after a thaw: also a transaction that was about to begin, of which the
/// connection itself does not know. One that stays silent is closed.
async fn lets_go(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let end = async {
        for _ in 0..LATE_ANSWERS {
            let ended = sqlx::raw_sql("rollback").execute(&mut *connection).await;
            match ended.map_err(StorageError::from) {
                Ok(_) => return Ok(true),
                Err(error) if error.is_broken_connection() => return Ok(false),
                Err(_) => {} // of what was given up
            }
        }
        Ok(false)
    };
    tokio::time::timeout(RELEASE_WITHIN, end).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::sql::sql;

    async fn small(folder: &tempfile::TempDir) -> Store {
        let options = Options {
            backend: Backend::Sqlite(folder.path().join("apex.db")),
            clock: Arc::new(SystemClock),
            lookup_key: LookupKey::derive(b"test"),
            max_megabytes: Some(1),
        };
        Store::open(options).await.unwrap()
    }

    async fn store_page(store: &Store) -> Result<(), StorageError> {
        let mut conn = store.begin(Role::Auth, None).await?;
        let id = uuid::Uuid::now_v7();
        let page = sql!("insert into organizations (id, name, slug, created_at) values ($1, $2, $3, 'now')");
        conn.query(page).bind(id).bind("x".repeat(4_000)).bind(id.to_string()).execute().await?;
        conn.commit().await
    }

    #[tokio::test]
    async fn a_full_file_says_so_and_takes_facts_again_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let store = small(&folder).await;
        for _ in 0..2 {
            let full = loop {
                if let Err(error) = store_page(&store).await {
                    break error;
                }
            };
            assert!(matches!(full, StorageError::Full), "{full:?}");
            assert!(matches!(store_page(&store).await, Err(StorageError::Full)), "and again");
            assert!(store.is_full());
            let mut conn = store.begin(Role::Auth, None).await.unwrap();
            conn.query(sql!("delete from organizations")).execute().await.unwrap();
            conn.commit().await.unwrap();
            store_page(&store).await.unwrap();
        }
        store.close().await;
    }

    #[tokio::test]
    async fn a_writer_whose_transaction_was_ended_by_the_database_writes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = small(&folder).await;
        for _ in 0..3 {
            let mut conn = store.begin(Role::Auth, None).await.unwrap();
            conn.query(sql!("rollback")).execute().await.unwrap(); // as SQLite does by itself after a failure of the disk
            drop(conn);
            store_page(&store).await.unwrap();
        }
        store.close().await;
    }
}
