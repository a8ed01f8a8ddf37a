//! Refuses to start on a database whose walls do not stand.

use std::collections::BTreeSet;

use sqlx::{PgPool, SqlitePool};

use crate::error::StorageError;
use crate::tables::{TABLES, TableClass};

/// Where sqlx keeps what it has applied.
const MIGRATIONS: &str = "_sqlx_migrations";

/// How to make a login that Apex accepts.
pub const LOGIN_RECIPE: &str = "create role apex_login login nosuperuser nobypassrls noinherit createrole password '...'; \
                                create database apex owner apex_login;";

#[derive(sqlx::FromRow)]
struct PgTable {
    name: String,
    forced: bool,
    tenant_policy: bool,
    foreign_grants: bool,
}

/// Compares the database with the table list both ways, and checks roles and row security.
pub(crate) async fn postgres(pool: &PgPool) -> Result<(), StorageError> {
    login(pool).await?;
    let found: Vec<PgTable> = sqlx::query_as(
        "select c.relname::text as name, c.relrowsecurity and c.relforcerowsecurity as forced,
                exists (select from pg_policies p where p.schemaname = 'apex' and p.tablename = c.relname
                        and p.policyname = 'tenant' and p.qual like '%app.org_id%' and p.with_check like '%app.org_id%')
                  and not exists (select from pg_policies p where p.schemaname = 'apex' and p.tablename = c.relname
                        and p.policyname <> 'tenant' and p.permissive = 'PERMISSIVE'
                        and p.roles && array['app_rt', 'public']::name[])
                  as tenant_policy,
                has_table_privilege('app_rt', c.oid, 'select') as foreign_grants
           from pg_class c where c.relkind in ('r', 'p') and c.relnamespace = 'apex'::regnamespace",
    )
    .fetch_all(pool)
    .await?;
    names(found.iter().map(|table| table.name.as_str()))?;
    for table in TABLES {
        let Some(row) = found.iter().find(|row| row.name == table.name) else { continue };
        match table.class {
            TableClass::Tenant if !(row.forced && row.tenant_policy) => {
                return Err(StorageError::Setup(format!(
                    "table {} has no forced row security for tenants; refusing to start",
                    table.name
                )));
            }
            TableClass::Identity | TableClass::System if row.foreign_grants => {
                return Err(StorageError::Setup(format!(
                    "requests (app_rt) may read table {}, which belongs to no tenant; refusing to start",
                    table.name
                )));
            }
            TableClass::Tenant | TableClass::Identity | TableClass::System => {}
        }
    }
    Ok(())
}

/// The login may enter the application's roles but must not have their rights by itself.
async fn login(pool: &PgPool) -> Result<(), StorageError> {
    let inherited: Vec<(String,)> = sqlx::query_as(
        "select r from unnest(array['app_rt','app_ingest','app_worker','app_auth','app_migrator']) r
          where pg_has_role(current_user, r, 'USAGE')",
    )
    .fetch_all(pool)
    .await?;
    if inherited.is_empty() {
        return Ok(());
    }
    let roles: Vec<_> = inherited.into_iter().map(|(role,)| role).collect();
    Err(StorageError::Setup(format!(
        "the database login has the rights of {} without asking for them (a superuser, or not NOINHERIT), so row security \
         would not hold. Use a login made so: {LOGIN_RECIPE}",
        roles.join(", ")
    )))
}

/// Compares the tables with the list both ways.
pub(crate) async fn sqlite(pool: &SqlitePool) -> Result<(), StorageError> {
    let found: Vec<(String,)> =
        sqlx::query_as("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
            .fetch_all(pool)
            .await?;
    names(found.iter().map(|(name,)| name.as_str()))
}

fn names<'a>(found: impl Iterator<Item = &'a str>) -> Result<(), StorageError> {
    let found: BTreeSet<_> = found.filter(|name| *name != MIGRATIONS).collect();
    let listed: BTreeSet<_> = TABLES.iter().map(|table| table.name).collect();
    if let Some(name) = found.difference(&listed).next() {
        return Err(StorageError::Setup(format!(
            "table {name} is in the database but has no class; refusing to start"
        )));
    }
    if let Some(name) = listed.difference(&found).next() {
        return Err(StorageError::Setup(format!("table {name} is missing from the database; run `apex migrate`")));
    }
    Ok(())
}
