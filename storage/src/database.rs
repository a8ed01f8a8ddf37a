//! The two databases behind one [`Store`].

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

use crate::clock::SharedClock;
use crate::error::StorageError;
use crate::lookup_key::LookupKey;
use crate::schema_check;
use crate::sql::Conn;

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a statement waits for a row lock before it gives up.
const LOCK_TIMEOUT: &str = "1s";
/// An open transaction that does nothing for this long is ended by the server: never longer than a lease.
const IDLE_IN_TRANSACTION: &str = "5s";
const SQLITE_READERS: u32 = 4;

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
}

/// The facts. Cheap to clone; its pools cannot be reached without a tenant or a role.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: Pool,
    options: Options,
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
        let pool = match &options.backend {
            Backend::Sqlite(path) => open_sqlite(path).await?,
            Backend::Postgres { url, max_connections } => open_postgres(url, *max_connections).await?,
        };
        Ok(Self(Arc::new(Inner { pool, options })))
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
        match &self.0.pool {
            Pool::Postgres(pool) => sqlx::query("select 1").execute(pool).await.map(drop)?,
            Pool::Sqlite { read, .. } => sqlx::query("select 1").execute(read).await.map(drop)?,
        }
        Ok(())
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
        match &self.0.pool {
            Pool::Postgres(pool) => {
                let tenant = tenant.map(|org| format!("; select set_config('app.org_id', '{org}', true)"));
                let begin = format!(
                    "begin; set local role {}; set local lock_timeout = '{LOCK_TIMEOUT}'{}",
                    role.name(),
                    tenant.unwrap_or_default()
                );
                Ok(Conn::Postgres(pool.begin_with(AssertSqlSafe(begin)).await?))
            }
            Pool::Sqlite { write, .. } => Ok(Conn::Sqlite(write.begin_with("begin immediate").await?)),
        }
    }

    /// The same for transactions that only read: on SQLite they do not wait for the one writer.
    pub(crate) async fn begin_read(&self, role: Role, tenant: Option<uuid::Uuid>) -> Result<Conn, StorageError> {
        match &self.0.pool {
            Pool::Postgres(_) => self.begin(role, tenant).await,
            Pool::Sqlite { read, .. } => Ok(Conn::Sqlite(read.begin().await?)),
        }
    }
}

async fn open_sqlite(path: &std::path::Path) -> Result<Pool, StorageError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options.clone())
        .await?;
    sqlx::migrate!("./migrations/sqlite").run(&write).await?;
    schema_check::sqlite(&write).await?;
    let read = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options.read_only(true))
        .await?;
    Ok(Pool::Sqlite { read, write })
}

async fn open_postgres(url: &SecretString, max_connections: u32) -> Result<Pool, StorageError> {
    let options = PgConnectOptions::from_str(url.expose_secret())?
        .application_name("apex")
        .options([("search_path", "apex"), ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION)]);
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
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
