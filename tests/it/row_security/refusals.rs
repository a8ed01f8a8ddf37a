//! The store refuses to start on a database whose walls do not stand, and says what to do.

use anyhow::Result;
use apex_storage::{LOGIN_RECIPE, StorageError};
use apex_tests::Postgres;
use apex_tests::postgres::LOGIN;
use reqwest::Url;

use crate::conformance::databases;

/// What the store says of a migrated database after the superuser has changed it.
async fn refusal(change: &'static str) -> Result<String> {
    let url = databases::migrated().await?;
    let mut superuser = databases::superuser(&url).await?;
    sqlx::raw_sql(change).execute(&mut superuser).await?;
    said(databases::open(&url).await.err())
}

fn said(refused: Option<StorageError>) -> Result<String> {
    match refused {
        Some(StorageError::Setup(said)) => Ok(said),
        other => anyhow::bail!("{other:?}"),
    }
}

#[tokio::test]
async fn a_migrated_database_is_accepted() -> Result<()> {
    databases::open(&databases::migrated().await?).await?.close().await;
    Ok(())
}

#[tokio::test]
async fn a_table_without_a_class_stops_the_start() -> Result<()> {
    let said = refusal("create table apex.stray (id uuid)").await?;
    assert!(said.contains("stray") && said.contains("no class"), "{said}");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("apex.db");
    databases::open_file(&path).await?.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut file = sqlx::ConnectOptions::connect(&options).await?;
    sqlx::raw_sql("create table stray (id blob)").execute(&mut file).await?;
    sqlx::Connection::close(file).await?;
    let said = self::said(databases::open_file(&path).await.err())?;
    assert!(said.contains("stray"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_missing_table_stops_the_start() -> Result<()> {
    let said = refusal("drop table apex.usage_ledger").await?;
    assert!(said.contains("usage_ledger") && said.contains("apex migrate"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_tenants_table_without_forced_row_security_stops_the_start() -> Result<()> {
    let breaches = [
        "alter table apex.leads no force row level security",
        "alter table apex.leads disable row level security",
        "drop policy tenant on apex.leads",
        "alter policy tenant on apex.leads using (true)",
        "alter policy tenant on apex.leads with check (true)",
    ];
    for breach in breaches {
        let said = refusal(breach).await?;
        assert!(said.contains("leads") && said.contains("row security"), "{breach}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_second_policy_that_opens_a_tenants_table_stops_the_start() -> Result<()> {
    let breaches = [
        "create policy open on apex.leads for select to app_rt using (true)",
        "create policy open on apex.leads for insert to public with check (true)",
    ];
    for breach in breaches {
        let said = refusal(breach).await?;
        assert!(said.contains("leads") && said.contains("row security"), "{breach}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_could_read_people_or_nodes_stops_the_start() -> Result<()> {
    for breach in ["grant select on apex.users to app_rt", "grant select on apex.node to public"] {
        let said = refusal(breach).await?;
        assert!(said.contains("app_rt"), "{breach}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_superuser_is_refused_with_a_recipe() -> Result<()> {
    let url = Postgres::shared().superuser(&databases::migrated().await?);
    let said = said(databases::open(&url).await.err())?;
    assert!(said.contains("superuser") && said.contains(LOGIN_RECIPE), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_login_that_inherits_is_refused_with_a_recipe() -> Result<()> {
    let url = databases::migrated().await?;
    let name = format!("apex_heir_{}", uuid::Uuid::new_v4().simple());
    let mut superuser = databases::superuser(&url).await?;
    let create = format!("create role {name} login inherit password 'x' in role {LOGIN}, app_worker");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut superuser).await?;
    let mut heir = Url::parse(&url)?;
    heir.set_username(&name).expect("a server URL takes a user");
    heir.set_password(Some("x")).expect("a server URL takes a password");
    let refused = said(databases::open(heir.as_str()).await.err());
    let drop = format!("drop role {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut superuser).await?;
    let said = refused?;
    assert!(said.contains("app_worker") && said.contains(LOGIN_RECIPE), "{said}");
    Ok(())
}
