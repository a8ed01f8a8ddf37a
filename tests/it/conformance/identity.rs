//! People, organisations and refresh tokens.

use anyhow::Result;
use apex_storage::model::{OrgId, SessionId, UserId};
use apex_storage::{NewUser, Session, StorageError};
use chrono::TimeDelta;

use super::tenants::{Tenant, TwoTenants};

conformance! {
    a_person_registers_with_an_organisation_of_their_own,
    an_address_and_a_short_name_are_taken_once,
    a_registration_that_died_leaves_nothing,
    a_refresh_token_is_exchanged_once,
    a_token_that_is_used_twice_ends_its_whole_sign_in,
}

fn newcomer<'a>(email: &'a str, org_slug: &'a str) -> NewUser<'a> {
    NewUser {
        id: UserId::new(),
        email,
        name: "Zoë",
        password_hash: "$argon2id$v=19$",
        org: OrgId::new(),
        org_name: "Zoë & Söhne",
        org_slug,
    }
}

async fn a_person_registers_with_an_organisation_of_their_own(bed: TwoTenants) -> Result<()> {
    let new = newcomer("zoe@example.com", "zoe");
    let mut tx = bed.store.identity().await?;
    tx.register(&new).await?;
    tx.commit().await?;
    let mut tx = bed.store.identity().await?;
    let user = tx.user_by_email("zoe@example.com").await?.expect("registered");
    assert_eq!((user.id, user.email.as_str(), user.name.as_str()), (new.id, new.email, "Zoë"));
    assert_eq!((user.password_hash.as_str(), user.created_at), (new.password_hash, bed.store.now()));
    assert_eq!(tx.user(new.id).await?.expect("registered").id, new.id);
    assert!(tx.user_by_email("nobody@example.com").await?.is_none());
    assert!(tx.user(UserId::new()).await?.is_none());
    let memberships = tx.memberships(new.id).await?;
    assert_eq!(memberships.len(), 1, "not of A, not of B");
    assert_eq!((memberships[0].org_id, memberships[0].role.as_str()), (new.org, "owner"));
    assert_eq!((memberships[0].org_name.as_str(), memberships[0].org_slug.as_str()), ("Zoë & Söhne", "zoe"));
    assert!(tx.memberships(UserId::new()).await?.is_empty());
    Ok(())
}

async fn an_address_and_a_short_name_are_taken_once(bed: TwoTenants) -> Result<()> {
    let before = bed.rows_of_a().await?;
    let cases =
        [(newcomer("alpha@example.com", "new"), "email"), (newcomer("new@example.com", "alpha"), "organization")];
    for (new, what) in cases {
        let mut tx = bed.store.identity().await?;
        let refused = tx.register(&new).await;
        assert!(matches!(refused, Err(StorageError::Taken(taken)) if taken == what), "{refused:?}");
    }
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn a_registration_that_died_leaves_nothing(bed: TwoTenants) -> Result<()> {
    let mut tx = bed.store.identity().await?;
    tx.register(&newcomer("zoe@example.com", "zoe")).await?;
    drop(tx);
    let mut tx = bed.store.identity().await?;
    assert!(tx.user_by_email("zoe@example.com").await?.is_none());
    tx.register(&newcomer("zoe@example.com", "zoe")).await?;
    Ok(())
}

fn session(bed: &TwoTenants, tenant: Tenant, family: Option<SessionId>) -> Session {
    let id = SessionId::new();
    Session {
        id,
        family: family.unwrap_or(id),
        user_id: tenant.user,
        org_id: tenant.org,
        expires_at: bed.store.now() + TimeDelta::days(30),
        rotated_at: None,
        revoked_at: None,
    }
}

async fn a_refresh_token_is_exchanged_once(bed: TwoTenants) -> Result<()> {
    let first = session(&bed, bed.a, None);
    let mut tx = bed.store.identity().await?;
    tx.add_session(&first, &[1; 32]).await?;
    tx.commit().await?;
    bed.pass(1);
    let mut tx = bed.store.identity().await?;
    let found = tx.session(&[1; 32]).await?.expect("kept");
    assert_eq!((found.id, found.family, found.user_id, found.org_id), (first.id, first.id, bed.a.user, bed.a.org));
    assert_eq!((found.expires_at, found.rotated_at, found.revoked_at), (first.expires_at, None, None));
    assert!(tx.session(&[9; 32]).await?.is_none());
    assert!(tx.rotate_session(first.id).await?);
    assert!(!tx.rotate_session(first.id).await?, "somebody exchanged it first");
    tx.add_session(&session(&bed, bed.a, Some(first.id)), &[2; 32]).await?;
    tx.commit().await?;
    let mut tx = bed.store.identity().await?;
    assert_eq!(tx.session(&[1; 32]).await?.expect("kept").rotated_at, Some(bed.store.now()));
    assert!(tx.add_session(&session(&bed, bed.a, None), &[2; 32]).await.is_err(), "a hash names one token");
    Ok(())
}

async fn a_token_that_is_used_twice_ends_its_whole_sign_in(bed: TwoTenants) -> Result<()> {
    let (first, neighbour) = (session(&bed, bed.a, None), session(&bed, bed.b, None));
    let next = session(&bed, bed.a, Some(first.id));
    let mut tx = bed.store.identity().await?;
    tx.add_session(&first, &[1; 32]).await?;
    tx.add_session(&next, &[2; 32]).await?;
    tx.add_session(&neighbour, &[3; 32]).await?;
    tx.revoke_family(first.family).await?;
    assert!(!tx.rotate_session(next.id).await?, "the thief's token is worth nothing");
    tx.commit().await?;
    bed.pass(1);
    let mut tx = bed.store.identity().await?;
    tx.revoke_family(first.family).await?;
    for hash in [[1; 32], [2; 32]] {
        assert_eq!(
            tx.session(&hash).await?.expect("kept").revoked_at,
            Some(super::databases::start()),
            "the first time counts"
        );
    }
    assert_eq!(tx.session(&[3; 32]).await?.expect("kept").revoked_at, None, "other sign-ins live on");
    assert!(tx.rotate_session(neighbour.id).await?);
    Ok(())
}
