//! A tenant's table, asked without a filter.

use anyhow::Result;
use apex_storage::model::OrgId;

use super::session::{Session, coded, tenant_tables};

const RT: &str = "app_rt";
/// What Postgres answers when a policy or a grant forbids.
const FORBIDDEN: &str = "42501";
/// What it answers when a row lacks a value: the policy has let it through.
const NOT_NULL: &str = "23502";

fn insert(table: &str, org: OrgId) -> String {
    format!("insert into {table} (org_id) values ('{org}')")
}

#[tokio::test]
async fn without_a_tenant_nothing_is_seen_and_nothing_is_written() -> Result<()> {
    let session = Session::begin().await?;
    for table in tenant_tables() {
        assert!(session.rows(table, session.bed.a.org).await? > 0, "{table} is empty: it would prove nothing");
        assert_eq!(session.count(RT, None, table).await?, Ok(0), "{table}");
        assert_eq!(
            session.change(RT, None, insert(table, session.bed.a.org)).await?,
            Err(FORBIDDEN.to_owned()),
            "{table}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_empty_tenant_is_no_tenant() -> Result<()> {
    let session = Session::begin().await?;
    for table in tenant_tables() {
        let mut tx = session.tx(RT, None).await?;
        sqlx::query("select set_config('app.org_id', '', true)").execute(&mut *tx).await?;
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        assert_eq!(coded(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *tx).await), Ok(0), "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_sees_all_of_its_rows_and_none_of_anothers() -> Result<()> {
    let session = Session::begin().await?;
    let (a, b) = (session.bed.a.org, session.bed.b.org);
    for table in tenant_tables() {
        let own = session.rows(table, a).await?;
        assert_eq!(session.count(RT, Some(a), table).await?, Ok(own), "{table}");
        let theirs = format!("{table} where org_id = '{b}'");
        assert_eq!(session.count(RT, Some(a), &theirs).await?, Ok(0), "{table}");
        assert_eq!(session.count(RT, Some(OrgId::new()), table).await?, Ok(0), "{table}: an unknown tenant");
    }
    Ok(())
}

#[tokio::test]
async fn a_tenant_writes_no_row_of_another() -> Result<()> {
    let session = Session::begin().await?;
    let (a, b) = (session.bed.a.org, session.bed.b.org);
    for table in tenant_tables() {
        assert_eq!(session.change(RT, Some(a), insert(table, b)).await?, Err(FORBIDDEN.to_owned()), "{table}");
        assert_eq!(session.change(RT, Some(a), insert(table, a)).await?, Err(NOT_NULL.to_owned()), "{table}: its own");
        for change in [
            format!("update {table} set org_id = '{a}' where org_id = '{b}'"),
            format!("delete from {table} where org_id = '{b}'"),
        ] {
            let changed = session.change(RT, Some(a), change).await?;
            assert!(changed == Ok(0) || changed == Err(FORBIDDEN.to_owned()), "{table}: {changed:?}");
        }
        let given_away = session.change(RT, Some(a), format!("update {table} set org_id = '{b}'")).await?;
        assert_eq!(given_away, Err(FORBIDDEN.to_owned()), "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn the_login_itself_sees_no_row_of_any_tenant() -> Result<()> {
    let session = Session::begin().await?;
    for table in tenant_tables() {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let seen: i64 = sqlx::query_scalar(count).fetch_one(&session.pool).await?;
        assert_eq!(seen, 0, "{table}: it owns the table, and row security is forced");
    }
    Ok(())
}

#[tokio::test]
async fn journals_are_only_appended() -> Result<()> {
    let session = Session::begin().await?;
    let org = Some(session.bed.a.org);
    for table in ["ticket_events", "lead_keys", "usage_ledger", "audit_log"] {
        for change in [format!("update {table} set org_id = org_id"), format!("delete from {table}")] {
            assert_eq!(session.change(RT, org, change.clone()).await?, Err(FORBIDDEN.to_owned()), "{change}");
        }
    }
    assert_eq!(session.change(RT, org, "delete from events".to_owned()).await?, Err(FORBIDDEN.to_owned()));
    Ok(())
}
