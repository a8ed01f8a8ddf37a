//! Contacts: one person by phone, then by address, never across tenants.

use anyhow::Result;
use apex_storage::ContactDraft;
use apex_storage::model::ContactId;
use apex_storage::model::phone::Phone;

use super::tenants::{Tenant, TwoTenants, phone};

conformance! {
    a_person_is_found_by_phone_then_by_address_else_made,
    a_person_learns_what_was_missing,
    two_people_may_share_an_address_but_not_a_phone,
    nobody_is_made_of_a_name_alone,
    tenants_do_not_share_people,
}

async fn resolve(
    bed: &TwoTenants,
    tenant: Tenant,
    phone: Option<&Phone>,
    email: Option<&str>,
) -> Result<Option<ContactId>> {
    let lease = bed.lease(tenant).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    let contact = tx.resolve_contact(&ContactDraft { name: "Ada", phone, email }).await?;
    tx.commit().await?;
    Ok(contact)
}

async fn a_person_is_found_by_phone_then_by_address_else_made(bed: TwoTenants) -> Result<()> {
    let by_phone = resolve(&bed, bed.a, Some(&phone(1)), None).await?;
    let by_email = resolve(&bed, bed.a, None, Some("Ada@Example.com")).await?;
    assert!(by_phone.is_some() && by_email.is_some() && by_phone != by_email);
    assert_eq!(resolve(&bed, bed.a, Some(&phone(1)), None).await?, by_phone);
    assert_eq!(resolve(&bed, bed.a, None, Some(" ada@example.COM ")).await?, by_email, "whatever its case");
    assert_eq!(
        resolve(&bed, bed.a, Some(&phone(1)), Some("ada@example.com")).await?,
        by_phone,
        "the phone counts more"
    );
    assert_eq!(resolve(&bed, bed.a, None, Some("else@example.com")).await?.map(|id| Some(id) != by_email), Some(true));
    Ok(())
}

async fn a_person_learns_what_was_missing(bed: TwoTenants) -> Result<()> {
    let person = resolve(&bed, bed.a, None, Some("ada@example.com")).await?;
    assert_eq!(resolve(&bed, bed.a, Some(&phone(1)), Some("ada@example.com")).await?, person);
    assert_eq!(resolve(&bed, bed.a, Some(&phone(1)), None).await?, person, "the phone was learned");
    Ok(())
}

async fn two_people_may_share_an_address_but_not_a_phone(bed: TwoTenants) -> Result<()> {
    let one = resolve(&bed, bed.a, Some(&phone(1)), Some("office@example.com")).await?;
    let two = resolve(&bed, bed.a, Some(&phone(2)), Some("office@example.com")).await?;
    assert_ne!(one, two, "two phones are two people");
    assert_eq!(resolve(&bed, bed.a, None, Some("office@example.com")).await?, one, "the one known longest");
    Ok(())
}

async fn nobody_is_made_of_a_name_alone(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.fenced(&lease).await?;
    assert_eq!(tx.resolve_contact(&ContactDraft { name: "Ada", phone: None, email: None }).await?, None);
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn tenants_do_not_share_people(bed: TwoTenants) -> Result<()> {
    let in_a = resolve(&bed, bed.a, Some(&phone(1)), Some("ada@example.com")).await?;
    let before = bed.rows_of_a().await?;
    let in_b = resolve(&bed, bed.b, Some(&phone(1)), Some("ada@example.com")).await?;
    assert!(in_b.is_some() && in_b != in_a);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
