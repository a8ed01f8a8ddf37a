//! Fresh databases, quickly: on Postgres a copy of one that was migrated once.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use apex_storage::clock::{ManualClock, SharedClock};
use apex_storage::{Backend, LookupKey, Options, StorageError, Store};
use apex_tests::Postgres;
use apex_tests::postgres::LOGIN;
use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;

/// Connections of one store: enough for two writers and a reader.
const CONNECTIONS: u32 = 4;

/// When the tests' clock starts.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 123_456_000).expect("a time")
}

/// What a store is opened with.
pub(crate) fn options(backend: Backend, clock: SharedClock) -> Options {
    Options { backend, clock, lookup_key: LookupKey::derive(b"conformance"), max_megabytes: None }
}

/// A Postgres backend.
pub(crate) fn backend(url: &str, max_connections: u32) -> Backend {
    Backend::Postgres { url: url.into(), max_connections }
}

/// Opens a Postgres database with a clock of its own.
pub(crate) async fn open(url: &str) -> Result<Store, StorageError> {
    Store::open(options(backend(url, CONNECTIONS), Arc::new(ManualClock::at(start())))).await
}

/// Opens a file with a clock of its own.
pub(crate) async fn open_file(path: &Path) -> Result<Store, StorageError> {
    Store::open(options(Backend::Sqlite(path.to_owned()), Arc::new(ManualClock::at(start())))).await
}

/// A connection that no row security binds, to look behind it.
pub(crate) async fn superuser(url: &str) -> Result<PgConnection> {
    PgConnection::connect(&Postgres::shared().superuser(url)).await.context("the superuser")
}

/// The URL of a migrated, empty Postgres database that belongs to the login.
pub(crate) async fn migrated() -> Result<String> {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE
        .get_or_try_init(|| async {
            let url = Postgres::shared().database();
            let store = open(&url).await.context("migrating the template")?;
            store.close().await; // nobody may be connected to a database that is copied
            anyhow::Ok(url)
        })
        .await?;
    let name = format!("apex_{}", uuid::Uuid::new_v4().simple());
    let (server, source) = template.rsplit_once('/').context("a database URL")?;
    let mut postgres = superuser(&format!("{server}/postgres")).await?;
    let copy = format!("create database {name} template {source} owner {LOGIN}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(copy)).execute(&mut postgres).await.context("copying the template")?;
    postgres.close().await?;
    Ok(format!("{server}/{name}"))
}
