//! Transactions: nothing is true before commit, nothing stays of what was not committed, and errors say what they are.

use anyhow::Result;
use apex_storage::model::{LeadId, OrgId, TicketId};
use apex_storage::{Options, StorageError, Store};
use serde_json::json;

use super::databases;
use super::rows::Place;
use super::tenants::{TwoTenants, create_lead, create_ticket};

conformance! {
    what_is_not_committed_never_was,
    an_unknown_tenant_sees_an_empty_house,
    trees_wait_for_their_turn_and_leave_a_connection_to_requests,
    rows_outlive_the_store,
    two_nodes_may_open_one_database,
    a_stored_value_that_cannot_be_read_is_an_error,
    a_database_that_is_gone_is_an_error,
}

async fn what_is_not_committed_never_was(bed: TwoTenants) -> Result<()> {
    let before = bed.rows_of_a().await?;
    let (lead, ticket) = (LeadId::new(), TicketId::new());
    let mut tx = bed.store.tenant(bed.a.org).await?;
    create_lead(&mut tx, bed.a.project, lead).await?;
    create_ticket(&mut tx, bed.a.project, ticket, Some(lead)).await?;
    tx.take_key("k", &[1]).await?;
    assert!(tx.update_project(bed.a.project, "Lost", &json!({}), None).await?.is_some());
    assert!(tx.lead(lead).await?.is_some(), "it sees its own writes");
    let mut other = bed.store.tenant_read(bed.a.org).await?;
    assert!(other.lead(lead).await?.is_none(), "nobody else does");
    drop((other, tx));
    assert_eq!(bed.rows_of_a().await?, before);
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert!(tx.ticket(ticket).await?.is_none());
    Ok(())
}

async fn an_unknown_tenant_sees_an_empty_house(bed: TwoTenants) -> Result<()> {
    bed.work(bed.a).await?;
    let mut tx = bed.store.tenant(OrgId::new()).await?;
    assert!(tx.projects(None, 9).await?.is_empty());
    assert!(tx.take_key("k", &[1]).await.is_err(), "no organisation, no row");
    Ok(())
}

fn backend(bed: &TwoTenants) -> Options {
    let backend = match &bed.place {
        Place::File(path) => apex_storage::Backend::Sqlite(path.clone()),
        Place::Server(url) => databases::backend(url, 2),
    };
    databases::options(backend, bed.store.clock())
}

async fn trees_wait_for_their_turn_and_leave_a_connection_to_requests(bed: TwoTenants) -> Result<()> {
    let (store, org) = (Store::open(backend(&bed)).await?, bed.a.org);
    let turns = if store.is_postgres() { 1 } else { 3 };
    let mut busy = Vec::new();
    for _ in 0..turns {
        busy.push(store.tree_read(org).await?);
    }
    let mut next = std::pin::pin!(store.tree_read(org));
    assert!(futures::poll!(&mut next).is_pending(), "every turn is taken");
    assert_eq!(store.tenant_read(org).await?.projects(None, 9).await?.len(), 1, "a request does not wait for trees");
    assert!(futures::poll!(&mut next).is_pending());
    busy.pop();
    assert_eq!(next.await?.projects(None, 9).await?.len(), 1);
    Ok(())
}

async fn rows_outlive_the_store(bed: TwoTenants) -> Result<()> {
    let work = bed.work(bed.a).await?;
    bed.store.close().await;
    let again = Store::open(backend(&bed)).await?;
    again.ping().await?;
    assert_eq!(again.is_postgres(), matches!(bed.place, Place::Server(_)));
    let key = again.lookup_key().phone("+64275550001");
    assert_eq!(key, bed.store.lookup_key().phone("+64275550001"));
    assert!(again.tenant_read(bed.a.org).await?.lead(work.lead).await?.is_some());
    Ok(())
}

/// On Postgres at the same instant, on an empty database: the start of a cluster.
async fn two_nodes_may_open_one_database(bed: TwoTenants) -> Result<()> {
    if !bed.store.is_postgres() {
        let second = Store::open(backend(&bed)).await?;
        assert!(second.tenant_read(bed.a.org).await?.project(bed.a.project).await?.is_some());
        return Ok(());
    }
    for _ in 0..5 {
        let url = apex_tests::Postgres::shared().database();
        let opened = futures::join!(databases::open(&url), databases::open(&url), databases::open(&url));
        for store in [opened.0?, opened.1?, opened.2?] {
            store.ping().await?;
            store.close().await;
        }
    }
    Ok(())
}

async fn a_stored_value_that_cannot_be_read_is_an_error(bed: TwoTenants) -> Result<()> {
    let work = bed.work(bed.a).await?;
    bed.place.run("update leads set source = 'martian'").await?;
    let read = bed.store.tenant_read(bed.a.org).await?.lead(work.lead).await;
    assert!(matches!(&read, Err(StorageError::Corrupt { what, .. }) if what.contains("source")), "{read:?}");
    Ok(())
}

async fn a_database_that_is_gone_is_an_error(bed: TwoTenants) -> Result<()> {
    bed.store.close().await;
    let error = bed.store.tenant(bed.a.org).await.err().expect("closed");
    assert!(matches!(error, StorageError::Database(_)) && !error.is_busy(), "{error:?}");
    assert!(bed.store.ping().await.is_err());
    Ok(())
}
