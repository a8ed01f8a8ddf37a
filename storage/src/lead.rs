//! Leads.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::phone::Phone;
use crate::model::{ContactId, LeadId, LeadSource, LeadStatus, OrgId, ProjectId};
use crate::sql::sql;
use crate::tenant::TenantTx;

/// Somebody who asked for service.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Lead {
    /// The lead.
    pub id: LeadId,
    /// Its tenant.
    pub org_id: OrgId,
    /// Its project.
    pub project_id: ProjectId,
    /// The person behind it, once resolved.
    pub contact_id: Option<ContactId>,
    /// Where it came from.
    #[sqlx(try_from = "String")]
    pub source: LeadSource,
    /// How far it has come.
    #[sqlx(try_from = "String")]
    pub status: LeadStatus,
    /// As given.
    pub name: String,
    /// The phone as given.
    pub phone_raw: Option<String>,
    /// In E.164, once it could be read.
    pub phone: Option<Phone>,
    /// As given.
    pub email: Option<String>,
    /// What they want, in their words.
    pub message: Option<String>,
    /// 0 to 100.
    pub score: Option<i64>,
    /// Sent by a provider's test button: never dialled.
    pub is_test: bool,
    /// Why it is not dialled.
    pub blocked: Option<String>,
    /// What else the form asked.
    pub answers: Value,
    /// As received, without secrets.
    pub raw_payload: Value,
    /// The call of its conversation.
    pub call_sid: Option<String>,
    /// What was said.
    pub call_transcription: Option<String>,
    /// What it means.
    pub call_analysis: Option<Value>,
    /// Length of the conversation, seconds.
    pub call_duration: Option<i64>,
    /// Where the recording is served.
    pub recording_url: Option<String>,
    /// Grows with every change.
    pub version: i64,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A lead that a person or a program makes.
#[derive(Clone, Debug)]
pub struct NewLead<'a> {
    /// The lead.
    pub id: LeadId,
    /// Its project.
    pub project_id: ProjectId,
    /// Where it comes from.
    pub source: LeadSource,
    /// As given.
    pub name: &'a str,
    /// The phone as given.
    pub phone_raw: Option<&'a str>,
    /// In E.164.
    pub phone: Option<&'a Phone>,
    /// As given.
    pub email: Option<&'a str>,
    /// What they want.
    pub message: Option<&'a str>,
    /// Whatever else is known.
    pub answers: &'a Value,
}

/// Which leads are listed.
#[derive(Clone, Debug, Default)]
pub struct LeadFilter {
    /// Only of this project.
    pub project_id: Option<ProjectId>,
    /// Only with this status.
    pub status: Option<LeadStatus>,
    /// Only older than this one.
    pub after: Option<(DateTime<Utc>, LeadId)>,
    /// At most so many.
    pub limit: i64,
}

/// What a person changes on a lead. `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct LeadPatch {
    /// Another name.
    pub name: Option<String>,
    /// Another phone: as given, and in E.164.
    pub phone: Option<(String, Phone)>,
    /// Another address.
    pub email: Option<String>,
    /// Other words.
    pub message: Option<String>,
    /// Another status; the caller has checked the move.
    pub status: Option<LeadStatus>,
    /// Another score.
    pub score: Option<i64>,
}

const LEAD: crate::sql::Sql = sql!(
    "select id, org_id, project_id, contact_id, source, status, name, phone_raw, phone, email, message, score, is_test,
            blocked, answers, raw_payload, call_sid, call_transcription, call_analysis, call_duration, recording_url,
            version, created_at, updated_at
       from leads where org_id = $1"
);

impl TenantTx {
    /// The lead.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn lead(&mut self, id: LeadId) -> Result<Option<Lead>, StorageError> {
        self.query(LEAD).push(" and id = $?").bind(id).optional().await
    }

    /// The lead whose recording is served there.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn lead_by_recording(&mut self, url: &str) -> Result<Option<Lead>, StorageError> {
        self.query(LEAD).push(" and recording_url = $? limit 1").bind(url).optional().await
    }

    /// A page of leads, the newest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn leads(&mut self, filter: &LeadFilter) -> Result<Vec<Lead>, StorageError> {
        let query = self
            .query(LEAD)
            .and(" and project_id = $?", filter.project_id)
            .and(" and status = $?", filter.status.map(LeadStatus::as_str));
        let query = match filter.after {
            Some((at, id)) => query.push(" and (created_at, id) < ($?, $?)").bind(at).bind(id),
            None => query,
        };
        query.push(" order by created_at desc, id desc limit $?").bind(filter.limit).all().await
    }

    /// How many leads a project has, by status.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn count_leads(&mut self, project: ProjectId) -> Result<Vec<(String, i64)>, StorageError> {
        self.query(sql!(
            "select status, count(*) from leads where org_id = $1 and project_id = $2 group by status order by status"
        ))
        .bind(project)
        .all()
        .await
    }

    /// Makes a lead.
    ///
    /// # Errors
    ///
    /// `NoProject` when this tenant does not have the project.
    pub async fn create_lead(&mut self, new: &NewLead<'_>) -> Result<(), StorageError> {
        let (org, now) = (self.org(), self.now());
        let key = new.phone.map(|phone| self.lookup().phone(phone.as_str()));
        self.query(sql!(
            "insert into leads (org_id, id, project_id, source, status, name, phone_raw, phone, phone_key, email, message,
                                answers, created_at, updated_at)
             values ($1, $2, $3, $4, 'new', $5, $6, $7, $8, $9, $10, $11, $12, $12)"
        ))
        .bind(new.id)
        .bind(new.project_id)
        .bind(new.source.as_str())
        .bind(new.name)
        .bind(new.phone_raw)
        .bind(new.phone.cloned())
        .bind(key)
        .bind(new.email)
        .bind(new.message)
        .bind(new.answers.clone())
        .bind(now)
        .execute()
        .await
        .map(drop)
        .map_err(|error| {
            if error.is_foreign_key_violation() {
                StorageError::NoProject { org, project: new.project_id }
            } else {
                error
            }
        })
    }

    /// Changes a lead. `expected`: only if the version is still this one. `false`: it was not, or there is no such lead.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn patch_lead(
        &mut self,
        id: LeadId,
        patch: &LeadPatch,
        expected: Option<i64>,
    ) -> Result<bool, StorageError> {
        let now = self.now();
        let key = patch.phone.as_ref().map(|(_, phone)| self.lookup().phone(phone.as_str()));
        let rows = self
            .query(sql!(
                "update leads set name = coalesce($3, name), phone_raw = coalesce($4, phone_raw),
                   phone = coalesce($5, phone), phone_key = coalesce($6, phone_key), email = coalesce($7, email),
                   message = coalesce($8, message), status = coalesce($9, status), score = coalesce($10, score),
                   blocked = case when $5 is null then blocked else null end, version = version + 1, updated_at = $11
                  where org_id = $1 and id = $2 and version = coalesce($12, version)"
            ))
            .bind(id)
            .bind(patch.name.as_deref())
            .bind(patch.phone.as_ref().map(|(raw, _)| raw.as_str()))
            .bind(patch.phone.as_ref().map(|(_, phone)| phone.clone()))
            .bind(key)
            .bind(patch.email.as_deref())
            .bind(patch.message.as_deref())
            .bind(patch.status.map(LeadStatus::as_str))
            .bind(patch.score)
            .bind(now)
            .bind(expected)
            .execute()
            .await?;
        Ok(rows == 1)
    }

    /// Deletes a lead that no call was made for. `false`: there is none, or it has calls.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn delete_lead(&mut self, id: LeadId) -> Result<bool, StorageError> {
        let delete = sql!(
            "delete from leads where org_id = $1 and id = $2
                and not exists (select 1 from bridges b where b.org_id = $1 and b.lead_id = $2)"
        );
        Ok(self.query(delete).bind(id).execute().await? == 1)
    }
}

impl FencedTx {
    /// Writes what was found out about a lead before it is called.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn identify_lead(
        &mut self,
        id: LeadId,
        contact: Option<ContactId>,
        phone: Option<&Phone>,
        blocked: Option<&str>,
    ) -> Result<(), StorageError> {
        let (now, key) = (self.now(), phone.map(|phone| self.lookup().phone(phone.as_str())));
        self.query(sql!(
            "update leads set contact_id = $3, phone = $4, phone_key = $5, blocked = $6, version = version + 1,
                              updated_at = $7
              where org_id = $1 and id = $2"
        ))
        .bind(id)
        .bind(contact)
        .bind(phone.cloned())
        .bind(key)
        .bind(blocked)
        .bind(now)
        .execute()
        .await
        .map(drop)
    }

    /// Writes the call's facts on the lead.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn record_call(
        &mut self,
        id: LeadId,
        status: LeadStatus,
        call_sid: Option<&str>,
        seconds: Option<i64>,
    ) -> Result<(), StorageError> {
        let now = self.now();
        self.query(sql!(
            "update leads set status = $3, call_sid = coalesce($4, call_sid), call_duration = coalesce($5, call_duration),
                              version = version + 1, updated_at = $6
              where org_id = $1 and id = $2"
        ))
        .bind(id)
        .bind(status.as_str())
        .bind(call_sid)
        .bind(seconds)
        .bind(now)
        .execute()
        .await
        .map(drop)
    }

    /// Writes where the recording is.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn record_recording(&mut self, id: LeadId, url: &str) -> Result<(), StorageError> {
        let now = self.now();
        self.query(sql!(
            "update leads set recording_url = $3, version = version + 1, updated_at = $4 where org_id = $1 and id = $2"
        ))
        .bind(id)
        .bind(url)
        .bind(now)
        .execute()
        .await
        .map(drop)
    }

    /// Writes what was said and what it means; what is `None` stays as it is.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn record_meaning(
        &mut self,
        id: LeadId,
        transcription: Option<&str>,
        analysis: Option<&Value>,
    ) -> Result<(), StorageError> {
        let now = self.now();
        self.query(sql!(
            "update leads set call_transcription = coalesce($3, call_transcription),
                              call_analysis = coalesce($4, call_analysis), version = version + 1, updated_at = $5
              where org_id = $1 and id = $2"
        ))
        .bind(id)
        .bind(transcription)
        .bind(analysis.cloned())
        .bind(now)
        .execute()
        .await
        .map(drop)
    }
}
