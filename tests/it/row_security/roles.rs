//! What each role may and may not: the grants, and the fence.

use anyhow::Result;
use apex_storage::{Claim, StorageError};

use super::session::{Session, coded, other_tables, tenant_tables};

const FORBIDDEN: &str = "42501";
/// What the fence raises.
const FENCED: &str = "AX001";

#[tokio::test]
async fn requests_read_no_table_that_belongs_to_no_tenant() -> Result<()> {
    let session = Session::begin().await?;
    for table in other_tables() {
        let refused = session.count("app_rt", Some(session.bed.a.org), table).await?;
        assert_eq!(refused, Err(FORBIDDEN.to_owned()), "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn the_intake_reads_nothing_but_keys() -> Result<()> {
    let session = Session::begin().await?;
    for table in tenant_tables().chain(other_tables()) {
        let answer = session.count("app_ingest", None, table).await?;
        if table == "lead_keys" {
            assert_eq!(answer, Ok(2), "duplicates are found by them");
        } else {
            assert_eq!(answer, Err(FORBIDDEN.to_owned()), "{table}");
        }
    }
    for table in ["leads", "lead_keys", "tickets", "ticket_events", "events"] {
        for change in [format!("update {table} set org_id = org_id"), format!("delete from {table}")] {
            assert_eq!(
                session.change("app_ingest", None, change.clone()).await?,
                Err(FORBIDDEN.to_owned()),
                "{change}"
            );
        }
    }
    Ok(())
}

/// What sweeps see of the tenants' tables.
const VISIBLE: [(&str, &str); 7] = [
    ("projects", "id org_id deleted_at"),
    ("tickets", "id org_id project_id task actor lead_id state due_at in_hand created_at updated_at"),
    ("call_inbox", "id org_id project_id ticket_id received_at handled_at"),
    ("ticket_events", "ticket_id seq at"),
    ("effects", "id org_id project_id bridge_id ticket_id kind account state sid created_at sent_at"),
    ("dead_letters", "id org_id at replayed_at archived_at"),
    ("schedules", "id org_id project_id next_at"),
];

#[tokio::test]
async fn sweeps_see_ids_states_and_times_only() -> Result<()> {
    let session = Session::begin().await?;
    let read = async |column: &str, table: &str| {
        let mut tx = session.tx("app_worker", None).await?;
        let select = sqlx::AssertSqlSafe(format!("select {column} from {table}"));
        anyhow::Ok(coded(sqlx::query(select).fetch_all(&mut *tx).await).map(|rows| rows.len()))
    };
    for table in tenant_tables().filter(|table| *table != "events") {
        let granted = VISIBLE.iter().find(|(name, _)| *name == table).map(|(_, columns)| *columns);
        for column in columns(&session, table).await? {
            let may = granted.is_some_and(|granted| granted.split(' ').any(|granted| granted == column));
            let answer = read(&column, table).await?;
            assert_eq!(answer.is_ok(), may, "{table}.{column}: {answer:?}");
            assert!(answer.is_ok() || answer == Err(FORBIDDEN.to_owned()), "{table}.{column}: {answer:?}");
        }
    }
    for table in ["users", "sessions", "api_keys", "memberships", "organizations", "project_routes"] {
        assert_eq!(read("*", table).await?, Err(FORBIDDEN.to_owned()), "{table}");
    }
    let number = "update events set position = null".to_owned();
    assert!(session.change("app_worker", None, number).await?.is_ok(), "the relay numbers events");
    let archive = "update dead_letters set archived_at = at".to_owned();
    assert_eq!(session.change("app_worker", None, archive).await?, Ok(2), "housekeeping archives, of both tenants");
    let forget = "delete from dead_letters".to_owned();
    assert_eq!(session.change("app_worker", None, forget).await?, Ok(0), "and forgets only what is archived");
    for change in [
        "update events set payload = '{}'",
        "delete from events",
        "update tickets set state = 'accepted'",
        "update ticket_events set seq = 0",
        "update effects set state = 'held'",
        "update dead_letters set replayed_at = null",
        "update schedules set next_at = null",
        "delete from schedules",
    ] {
        let refused = session.change("app_worker", None, change.to_owned()).await?;
        assert_eq!(refused, Err(FORBIDDEN.to_owned()), "{change}");
    }
    Ok(())
}

async fn columns(session: &Session, table: &str) -> Result<Vec<String>> {
    let columns =
        "select column_name::text from information_schema.columns where table_schema = 'apex' and table_name = $1";
    let columns = sqlx::query_scalar(columns).bind(table).fetch_all(&session.pool).await?;
    anyhow::ensure!(!columns.is_empty(), "{table} has no columns");
    Ok(columns)
}

#[tokio::test]
async fn sign_in_reads_nothing_of_a_tenant() -> Result<()> {
    let session = Session::begin().await?;
    for table in tenant_tables().chain(["node", "placement"]) {
        let refused = session.count("app_auth", None, table).await?;
        assert_eq!(refused, Err(FORBIDDEN.to_owned()), "{table}");
    }
    Ok(())
}

#[tokio::test]
async fn the_fence_lets_the_living_lease_of_its_tenant_pass_and_no_other() -> Result<()> {
    let session = Session::begin().await?;
    let (bed, lease) = (&session.bed, session.bed.lease(session.bed.a).await?);
    let call = |node: &str, fence: i64| format!("select apex_fence('{}', '{node}', {fence})", lease.key());
    let living = call(&lease.node, lease.fence);
    assert_eq!(session.change("app_rt", Some(bed.a.org), living.clone()).await?, Ok(1));
    let fenced = Err(FENCED.to_owned());
    assert_eq!(session.change("app_rt", Some(bed.b.org), living.clone()).await?, fenced, "another tenant");
    assert_eq!(session.change("app_rt", None, living).await?, fenced, "no tenant");
    assert_eq!(session.change("app_rt", Some(bed.a.org), call(&lease.node, lease.fence - 1)).await?, fenced);
    assert_eq!(session.change("app_rt", Some(bed.a.org), call("beta:1", lease.fence)).await?, fenced);
    session.superuser("delete from apex.node").await?;
    let dead = session.change("app_rt", Some(bed.a.org), call(&lease.node, lease.fence)).await?;
    assert_eq!(dead, fenced, "a dead node's lease");
    for role in ["app_ingest", "app_auth"] {
        let refused = session.change(role, None, call(&lease.node, lease.fence)).await?;
        assert_eq!(refused, Err(FORBIDDEN.to_owned()), "{role} has no business with fences");
    }
    Ok(())
}

/// The fence holds the placement's row to the end of the transaction: nobody takes over between check and commit.
#[tokio::test]
async fn a_takeover_waits_for_a_write_that_is_under_way() -> Result<()> {
    let bed = Session::begin().await?.bed;
    let lease = bed.lease(bed.a).await?;
    let writing = bed.store.fenced(&lease).await?;
    let mut tx = bed.store.system().await?;
    let waited = tx.claim(bed.a.org, bed.a.project, &lease.node).await;
    assert!(waited.as_ref().is_err_and(StorageError::is_busy), "{waited:?}");
    drop(tx);
    writing.commit().await?;
    let mut tx = bed.store.system().await?;
    assert!(matches!(tx.claim(bed.a.org, bed.a.project, &lease.node).await?, Claim::Granted(_)));
    Ok(())
}
