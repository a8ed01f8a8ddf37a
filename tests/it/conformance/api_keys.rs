//! Keys of programs: found by their hash with what their owner is now, listed page by page, taken back for good.

use anyhow::Result;
use apex_storage::model::{ApiKeyId, OrgId, UserId};
use apex_storage::{ApiKey, ApiKeyFilter, KeyHolder, NewApiKey, StorageError};
use chrono::TimeDelta;

use super::tenants::{Tenant, TwoTenants};

conformance! {
    a_key_is_found_by_its_hash_with_what_its_owner_is_now,
    a_hash_names_one_key_and_a_key_that_was_rolled_back_is_none,
    a_key_is_taken_back_once_and_by_its_own_organisation,
    keys_are_paged_newest_first_by_organisation_and_owner,
    the_use_of_a_key_is_noted_at_most_once_in_a_time,
    what_is_kept_for_a_tenant_goes_with_what_was_done_about_people,
}

fn key(tenant: Tenant, hash: &[u8]) -> NewApiKey<'_> {
    NewApiKey {
        id: ApiKeyId::new(),
        org: tenant.org,
        user: tenant.user,
        name: "CRM",
        prefix: "apx_12345678",
        hash,
        scopes: "read write",
        expires_at: None,
    }
}

async fn made(bed: &TwoTenants, new: &NewApiKey<'_>) -> Result<ApiKeyId> {
    let mut tx = bed.store.identity().await?;
    tx.add_api_key(new).await?;
    tx.commit().await?;
    Ok(new.id)
}

async fn shown(bed: &TwoTenants, org: OrgId, id: ApiKeyId) -> Result<Option<ApiKey>, StorageError> {
    bed.store.identity_read().await?.api_key(org, id).await
}

async fn a_key_is_found_by_its_hash_with_what_its_owner_is_now(bed: TwoTenants) -> Result<()> {
    let expires_at = Some(bed.store.now() + TimeDelta::days(1));
    let id = made(&bed, &NewApiKey { expires_at, ..key(bed.a, &[7; 32]) }).await?;
    let holder = KeyHolder {
        id,
        org_id: bed.a.org,
        user_id: bed.a.user,
        scopes: "read write".into(),
        expires_at,
        last_used_at: None,
        revoked_at: None,
        role: Some("owner".into()),
    };
    assert_eq!(bed.store.key_holder(&[7; 32]).await?, Some(holder.clone()));
    assert_eq!(bed.store.key_holder(&[8; 32]).await?, None);
    bed.place.run("update memberships set role = 'viewer'").await?;
    let viewer = KeyHolder { role: Some("viewer".into()), ..holder.clone() };
    assert_eq!(bed.store.key_holder(&[7; 32]).await?, Some(viewer));
    bed.place.run("delete from memberships").await?;
    assert_eq!(bed.store.key_holder(&[7; 32]).await?, Some(KeyHolder { role: None, ..holder }));
    let expected = ApiKey {
        id,
        org_id: bed.a.org,
        user_id: bed.a.user,
        name: "CRM".into(),
        prefix: "apx_12345678".into(),
        scopes: "read write".into(),
        expires_at,
        last_used_at: None,
        revoked_at: None,
        created_at: bed.store.now(),
    };
    assert_eq!(shown(&bed, bed.a.org, id).await?, Some(expected));
    Ok(())
}

async fn a_hash_names_one_key_and_a_key_that_was_rolled_back_is_none(bed: TwoTenants) -> Result<()> {
    let mut tx = bed.store.identity().await?;
    tx.add_api_key(&key(bed.a, &[7; 32])).await?;
    drop(tx);
    assert_eq!(bed.store.key_holder(&[7; 32]).await?, None);
    made(&bed, &key(bed.a, &[7; 32])).await?;
    assert!(made(&bed, &key(bed.b, &[7; 32])).await.is_err(), "a hash names one key");
    Ok(())
}

async fn a_key_is_taken_back_once_and_by_its_own_organisation(bed: TwoTenants) -> Result<()> {
    let id = made(&bed, &key(bed.a, &[7; 32])).await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.identity().await?;
    assert!(!tx.revoke_api_key(bed.b.org, id).await?, "not B's");
    assert_eq!(tx.api_key(bed.b.org, id).await?, None);
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    let revoked_at = Some(bed.store.now());
    for is_first in [true, false] {
        let mut tx = bed.store.identity().await?;
        assert_eq!(tx.revoke_api_key(bed.a.org, id).await?, is_first);
        tx.commit().await?;
        bed.pass(1);
    }
    assert_eq!(bed.store.key_holder(&[7; 32]).await?.expect("kept").revoked_at, revoked_at, "the first time counts");
    Ok(())
}

async fn keys_are_paged_newest_first_by_organisation_and_owner(bed: TwoTenants) -> Result<()> {
    let mut ids = Vec::new();
    for n in 0..4 {
        bed.pass(n % 2);
        ids.insert(0, made(&bed, &key(bed.a, &[u8::try_from(n)?; 32])).await?);
    }
    made(&bed, &key(bed.b, &[9; 32])).await?;
    let list = async |filter: ApiKeyFilter| -> Result<Vec<ApiKey>> {
        Ok(bed.store.identity_read().await?.api_keys(bed.a.org, &filter).await?)
    };
    let first = list(ApiKeyFilter { limit: 3, ..ApiKeyFilter::default() }).await?;
    let after = first.last().map(|key| (key.created_at, key.id));
    let rest = list(ApiKeyFilter { after, limit: 3, ..ApiKeyFilter::default() }).await?;
    assert_eq!(first.iter().chain(&rest).map(|key| key.id).collect::<Vec<_>>(), ids);
    let of = |user| ApiKeyFilter { user: Some(user), limit: 9, ..ApiKeyFilter::default() };
    assert_eq!(list(of(bed.a.user)).await?.len(), 4);
    assert!(list(of(UserId::new())).await?.is_empty());
    Ok(())
}

async fn the_use_of_a_key_is_noted_at_most_once_in_a_time(bed: TwoTenants) -> Result<()> {
    let id = made(&bed, &key(bed.a, &[7; 32])).await?;
    let note = async || -> Result<bool> {
        let mut tx = bed.store.identity().await?;
        let noted = tx.note_key_used(id, bed.store.now() - TimeDelta::minutes(1)).await?;
        tx.commit().await?;
        Ok(noted)
    };
    assert!(note().await?);
    let first = bed.store.now();
    bed.pass(59);
    assert!(!note().await?);
    assert_eq!(shown(&bed, bed.a.org, id).await?.expect("kept").last_used_at, Some(first));
    bed.pass(1);
    assert!(note().await?);
    assert_eq!(shown(&bed, bed.a.org, id).await?.expect("kept").last_used_at, Some(bed.store.now()));
    Ok(())
}

/// The role changes in the middle: the second half sees one tenant and no people.
async fn what_is_kept_for_a_tenant_goes_with_what_was_done_about_people(bed: TwoTenants) -> Result<()> {
    for commits in [false, true] {
        let mut tx = bed.store.identity().await?;
        tx.add_api_key(&key(bed.a, &[7; 32])).await?;
        let mut tx = tx.into_tenant(bed.a.org).await?;
        assert_eq!(tx.org(), bed.a.org);
        let projects = tx.projects(None, 9).await?;
        assert_eq!(projects.iter().map(|project| project.id).collect::<Vec<_>>(), [bed.a.project], "and none of B");
        let work = apex_storage::model::LeadId::new();
        super::tenants::create_lead(&mut tx, bed.a.project, work).await?;
        if commits {
            tx.commit().await?;
        } else {
            drop(tx);
        }
        assert_eq!(bed.store.key_holder(&[7; 32]).await?.is_some(), commits);
        assert_eq!(bed.store.tenant_read(bed.a.org).await?.lead(work).await?.is_some(), commits);
    }
    Ok(())
}
