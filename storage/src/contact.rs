//! Contacts: the people behind leads, matched by phone and then by address.

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::ContactId;
use crate::model::phone::Phone;
use crate::sql::sql;

/// A person behind one or more leads.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Contact {
    /// The person.
    pub id: ContactId,
    /// As first given.
    pub name: String,
    /// In E.164.
    pub phone: Option<Phone>,
    /// As first given.
    pub email: Option<String>,
}

/// What a lead tells about its person.
#[derive(Clone, Debug)]
pub struct ContactDraft<'a> {
    /// As given.
    pub name: &'a str,
    /// In E.164.
    pub phone: Option<&'a Phone>,
    /// As given.
    pub email: Option<&'a str>,
}

impl FencedTx {
    /// The person of a lead: found by phone, else by address, else made. `None` when the lead names neither.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn resolve_contact(&mut self, draft: &ContactDraft<'_>) -> Result<Option<ContactId>, StorageError> {
        let phone_key = draft.phone.map(|phone| self.lookup().phone(phone.as_str()));
        let email_key = draft.email.map(|email| self.lookup().email(email));
        if phone_key.is_none() && email_key.is_none() {
            return Ok(None);
        }
        let (project, now) = (self.project_id(), self.now());
        let found: Option<(ContactId,)> = self
            .query(sql!(
                "select id from contacts where org_id = $1 and project_id = $2 and (phone_key = $3 or
                   (email_key = $4 and (phone_key is null or $3 is null)))
                  order by case when phone_key = $3 then 0 else 1 end, created_at limit 1"
            ))
            .bind(project)
            .bind(phone_key.clone())
            .bind(email_key.clone())
            .optional()
            .await?;
        if let Some((id,)) = found {
            self.query(sql!(
                "update contacts set phone = coalesce(phone, $3), phone_key = coalesce(phone_key, $4),
                   email = coalesce(email, $5), email_key = coalesce(email_key, $6), updated_at = $7
                  where org_id = $1 and id = $2"
            ))
            .bind(id)
            .bind(draft.phone.cloned())
            .bind(phone_key)
            .bind(draft.email)
            .bind(email_key)
            .bind(now)
            .execute()
            .await?;
            return Ok(Some(id));
        }
        let id = ContactId::new();
        self.query(sql!(
            "insert into contacts (org_id, id, project_id, name, phone, phone_key, email, email_key, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)"
        ))
        .bind(id)
        .bind(project)
        .bind(draft.name)
        .bind(draft.phone.cloned())
        .bind(phone_key)
        .bind(draft.email)
        .bind(email_key)
        .bind(now)
        .execute()
        .await?;
        Ok(Some(id))
    }
}
