//! A connection goes back to its pool with nothing of the transaction that used it, however that ended.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::Result;
use apex_storage::clock::SystemClock;
use apex_storage::{Backend, LeadFilter, Store};
use apex_tests::postgres::LOGIN;
use futures::FutureExt;
use sqlx::Connection;

use super::session::Session;
use crate::conformance::databases;

/// Who the pool's one connection speaks as now, and for whom.
async fn left_behind(session: &Session) -> Result<(String, String, i64)> {
    let ask =
        "select current_user::text, coalesce(current_setting('app.org_id', true), ''), (select count(*) from leads)";
    Ok(sqlx::query_as(ask).fetch_one(&session.pool).await?)
}

fn nothing() -> (String, String, i64) {
    (LOGIN.to_owned(), String::new(), 0)
}

#[tokio::test]
async fn a_transaction_leaves_neither_role_nor_tenant_behind() -> Result<()> {
    let session = Session::begin().await?;
    let org = Some(session.bed.a.org);
    assert_eq!(left_behind(&session).await?, nothing());

    let mut tx = session.tx("app_rt", org).await?;
    let inside: (String,) = sqlx::query_as("select current_user::text").fetch_one(&mut *tx).await?;
    assert_eq!(inside.0, "app_rt", "the role was taken at all");
    tx.commit().await?;
    assert_eq!(left_behind(&session).await?, nothing(), "after commit");

    session.tx("app_rt", org).await?.rollback().await?;
    assert_eq!(left_behind(&session).await?, nothing(), "after rollback");

    let mut tx = session.tx("app_rt", org).await?;
    assert!(sqlx::query("select 1 / 0").execute(&mut *tx).await.is_err());
    drop(tx);
    assert_eq!(left_behind(&session).await?, nothing(), "after an error");

    drop(session.tx("app_rt", org).await?);
    assert_eq!(left_behind(&session).await?, nothing(), "after a drop");

    let lock = session.lock_leads().await?;
    let mut tx = session.tx("app_rt", org).await?;
    let waiting = sqlx::query("select count(*) from leads").execute(&mut *tx).now_or_never();
    assert!(waiting.is_none(), "cut off in the middle of a statement");
    drop(tx);
    lock.close().await?;
    assert_eq!(left_behind(&session).await?, nothing(), "after a cut");
    Ok(())
}

/// Notes who writes a node's row for whom, as the trigger sees it.
const WITNESS: &str = "
    create table public.witness (org text);
    create function public.note() returns trigger language plpgsql security definer as
      $$ begin insert into public.witness values (coalesce(current_setting('app.org_id', true), '')); return new; end $$;
    create trigger witness before update on apex.node for each row execute function public.note()";

/// The same through the store: its next transaction without a tenant finds none.
#[tokio::test]
async fn the_store_leaves_no_tenant_behind() -> Result<()> {
    let session = Session::begin().await?;
    session.superuser(WITNESS).await?;
    let backend = Backend::Postgres { url: session.url.as_str().into(), max_connections: 1 };
    let store = Store::open(databases::options(backend, Arc::new(SystemClock))).await?;
    let (org, filter) = (session.bed.a.org, LeadFilter { limit: 9, ..LeadFilter::default() });

    for ending in 0..4 {
        let mut tx = store.tenant(org).await?;
        assert!(!tx.leads(&filter).await?.is_empty());
        match ending {
            0 => tx.commit().await?,
            1 => drop(tx),
            2 => {
                assert!(tx.keep_answer("k", 200, &serde_json::json!("nul\0")).await.is_err(), "Postgres keeps no NUL");
                drop(tx);
            }
            _ => {
                drop(tx); // it has read leads: the lock would wait for it
                let lock = session.lock_leads().await?;
                let mut tx = store.tenant(org).await?;
                assert!(tx.leads(&filter).now_or_never().is_none(), "cut off in the middle of a statement");
                drop(tx);
                lock.close().await?;
            }
        }
        let mut tx = store.system().await?;
        tx.beat("alpha:1", Duration::from_mins(1)).await?;
        tx.commit().await?;
    }
    let mut superuser = databases::superuser(&session.url).await?;
    let seen: Vec<String> = sqlx::query_scalar("select org from public.witness").fetch_all(&mut superuser).await?;
    assert_eq!(seen, [""; 4]);
    Ok(())
}

/// Polls a request so often and lets go of it, as a client's leaving does.
async fn cut_after(polls: u32, request: impl Future) {
    let (mut request, mut left) = (pin!(request), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        request.as_mut().poll(context).map(drop)
    })
    .await;
}

/// Wherever a request is cut off: before its connection, while it begins, in a statement, before its commit is answered.
#[tokio::test]
async fn a_request_that_is_cut_off_anywhere_shows_nothing_to_the_next() -> Result<()> {
    let session = Session::begin().await?;
    let backend = Backend::Postgres { url: session.url.as_str().into(), max_connections: 1 };
    let store = Store::open(databases::options(backend, Arc::new(SystemClock))).await?;
    let (a, b, filter) = (session.bed.a, session.bed.b, LeadFilter { limit: 9, ..LeadFilter::default() });
    let own = session.rows("leads", b.org).await?;
    for polls in (0..10).cycle().take(60) {
        let request = async {
            let mut tx = store.tenant(a.org).await?;
            tx.leads(&filter).await?;
            tx.commit().await
        };
        cut_after(polls, request).await;
        let mut tx = store.tenant(b.org).await?;
        let seen = tx.leads(&filter).await?;
        assert_eq!(i64::try_from(seen.len())?, own, "after {polls} polls");
        assert!(seen.iter().all(|lead| lead.org_id == b.org), "after {polls} polls");
    }
    Ok(())
}
