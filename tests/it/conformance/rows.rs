//! All rows of a tenant, read behind the store's back: what proves that nothing was changed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use apex_storage::model::OrgId;
use apex_storage::{TABLES, TableClass};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection};

use super::databases;

/// Where the rows lie.
pub(crate) enum Place {
    File(PathBuf),
    Server(String),
}

/// Every row of a tenant by table, as text.
pub(super) type Rows = BTreeMap<&'static str, Vec<String>>;

/// Tables whose rows name a tenant.
fn tables() -> impl Iterator<Item = &'static str> {
    let tenants = TABLES.iter().filter(|table| table.class == TableClass::Tenant).map(|table| table.name);
    tenants.chain(["memberships", "sessions", "api_keys", "project_routes", "placement"])
}

impl Place {
    /// The server's URL, if it is one.
    pub(crate) fn url(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Server(url) => Some(url),
        }
    }

    /// Reads every row of the tenant.
    pub(super) async fn rows_of(&self, org: OrgId) -> Result<Rows> {
        match self {
            Self::File(path) => {
                let mut file = SqliteConnectOptions::new().filename(path).read_only(true).connect().await?;
                let rows = from_file(&mut file, org).await;
                file.close().await?;
                rows
            }
            Self::Server(url) => {
                let mut server = databases::superuser(url).await?;
                let rows = from_server(&mut server, org).await;
                server.close().await?;
                rows
            }
        }
    }
}

impl Place {
    /// Changes rows as nobody else may.
    pub(super) async fn run(&self, sql: &'static str) -> Result<()> {
        match self {
            Self::File(path) => {
                let mut file = SqliteConnectOptions::new().filename(path).connect().await?;
                sqlx::raw_sql(sql).execute(&mut file).await?;
                file.close().await?;
            }
            Self::Server(url) => {
                let mut server = databases::superuser(url).await?;
                sqlx::raw_sql("set search_path = apex").execute(&mut server).await?;
                sqlx::raw_sql(sql).execute(&mut server).await?;
                server.close().await?;
            }
        }
        Ok(())
    }
}

async fn from_file(file: &mut SqliteConnection, org: OrgId) -> Result<Rows> {
    let mut found = Rows::new();
    for table in tables() {
        let columns =
            format!("select group_concat('quote(' || name || ')', '||''|''||') from pragma_table_info('{table}')");
        let columns: String = sqlx::query_scalar(AssertSqlSafe(columns)).fetch_one(&mut *file).await?;
        let select = format!("select {columns} as row_text from {table} where org_id = $1 order by row_text");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).bind(org).fetch_all(&mut *file).await?;
        found.insert(table, rows);
    }
    Ok(found)
}

async fn from_server(server: &mut PgConnection, org: OrgId) -> Result<Rows> {
    let mut found = Rows::new();
    for table in tables() {
        let select = format!("select t::text from apex.{table} t where org_id = $1 order by 1");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(select)).bind(org).fetch_all(&mut *server).await?;
        found.insert(table, rows);
    }
    Ok(found)
}
