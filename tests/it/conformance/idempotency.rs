//! Idempotency keys: the same request gets the same answer, and a request that died leaves no key.

use anyhow::Result;
use apex_storage::Stored;
use serde_json::json;

use super::tenants::{TwoTenants, until_free};

conformance! {
    the_same_request_gets_the_same_answer,
    a_request_that_died_leaves_no_key,
    of_two_requests_at_once_one_is_answered_by_the_other,
    keys_are_a_tenants_own,
}

async fn the_same_request_gets_the_same_answer(bed: TwoTenants) -> Result<()> {
    let body = json!({ "id": "größe", "n": [u64::MAX, null] });
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert_eq!(tx.take_key("k", &[1; 32]).await?, Stored::New);
    assert_eq!(tx.take_key("k", &[1; 32]).await?, Stored::InFlight);
    tx.keep_answer("k", 201, &body).await?;
    tx.commit().await?;
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert_eq!(tx.take_key("k", &[1; 32]).await?, Stored::Answer { status: 201, body });
    assert_eq!(tx.take_key("k", &[2; 32]).await?, Stored::Mismatch);
    assert_eq!(tx.take_key("other", &[1; 32]).await?, Stored::New);
    Ok(())
}

async fn a_request_that_died_leaves_no_key(bed: TwoTenants) -> Result<()> {
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert_eq!(tx.take_key("k", &[1; 32]).await?, Stored::New);
    tx.keep_answer("k", 201, &json!({})).await?;
    drop(tx);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert_eq!(tx.take_key("k", &[2; 32]).await?, Stored::New);
    Ok(())
}

async fn request(bed: &TwoTenants) -> Result<Stored> {
    let mut tx = bed.store.tenant(bed.a.org).await?;
    let stored = tx.take_key("k", &[1; 32]).await?;
    if stored == Stored::New {
        tx.keep_answer("k", 200, &json!(null)).await?;
        tx.commit().await?;
    }
    Ok(stored)
}

async fn of_two_requests_at_once_one_is_answered_by_the_other(bed: TwoTenants) -> Result<()> {
    let ask = || until_free(async || request(&bed).await);
    let (one, two) = futures::join!(ask(), ask());
    let answer = Stored::Answer { status: 200, body: json!(null) };
    let both = [one?, two?];
    assert!(both.contains(&Stored::New) && both.contains(&answer), "{both:?}");
    Ok(())
}

async fn keys_are_a_tenants_own(bed: TwoTenants) -> Result<()> {
    let mut tx = bed.store.tenant(bed.a.org).await?;
    tx.take_key("k", &[1; 32]).await?;
    tx.keep_answer("k", 201, &json!({ "secret": 1 })).await?;
    tx.commit().await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.tenant(bed.b.org).await?;
    tx.keep_answer("k", 500, &json!({})).await?;
    assert_eq!(tx.take_key("k", &[1; 32]).await?, Stored::New);
    assert_eq!(tx.take_key("k", &[1; 32]).await?, Stored::InFlight, "its own, and not A's answer");
    tx.keep_answer("k", 500, &json!({})).await?;
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
