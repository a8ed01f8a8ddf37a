//! How every callback is kept: one commit, in time, then a nudge. What is answered when that fails stands here too.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use apex_actors::callback::CallbackRef;
use apex_storage::fault::{self, Fault};
use apex_storage::model::call::Report;
use apex_storage::model::{OrgId, ProjectId, TicketId};
use apex_storage::{NewInboxRow, StorageError, Store, TenantTx};
use axum::http::StatusCode;
use futures::FutureExt;

use super::callback::Callback;
use super::twiml::{self, TwiMl};
use crate::error::ApiError;
use crate::metrics::providers as metrics;
use crate::state::AppState;

/// How long the rows may take: Twilio's caller listens to silence meanwhile, and must hear something within five seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// What an answer is made with: the rows, and our names outside.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    /// The facts.
    pub store: &'a Store,
    /// The provider's account.
    pub account: &'a str,
    /// The base of callback addresses.
    pub public_url: &'a str,
}

/// What a callback says.
#[derive(Debug)]
pub(crate) struct Fact<'a> {
    /// Which callback it is.
    pub kind: &'static str,
    /// The provider's id of the call or message that it is about.
    pub sid: &'a str,
    /// What it says.
    pub report: Report,
}

/// Whom to tell that there is news.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Nudge {
    /// The tenant.
    pub org: OrgId,
    /// Its project.
    pub project: ProjectId,
    /// The ticket that has news.
    pub ticket: TicketId,
    /// Which kind of actor writes the ticket.
    pub actor: String,
}

impl<'a> Line<'a> {
    /// The line of this node. Callbacks are believed only when there is an account, so it has a name.
    pub fn of(state: &'a AppState) -> Self {
        let account = state.twilio().map_or("", |twilio| twilio.account_sid.as_str());
        Self { store: state.store(), account, public_url: state.public_url() }
    }

    /// Commits the transaction with the callback in it. `None`: the tenant does not have the project; nothing is kept.
    pub async fn keep(
        self,
        mut tx: TenantTx,
        about: &CallbackRef,
        callback: &Callback,
        fact: Fact<'_>,
    ) -> Result<Option<Nudge>, StorageError> {
        let row = NewInboxRow {
            project_id: about.project,
            ticket_id: about.ticket,
            effect_id: about.effect,
            account: self.account,
            sid: fact.sid,
            kind: fact.kind,
            digest: &callback.digest,
            report: &fact.report,
        };
        match tx.receive(&row).await {
            Ok(_) => {}
            Err(StorageError::NoProject { .. }) => return Ok(unknown(fact.kind)),
            Err(error) => return Err(error),
        }
        let actor = writer(&mut tx, about).await?;
        tx.commit().await?;
        fault::pass(Fault::CallbackCommitted).await;
        Ok(Some(Nudge { org: about.org, project: about.project, ticket: about.ticket, actor }))
    }

    /// Keeps a callback that asks nothing. One that names nothing of ours is counted and forgotten.
    pub async fn note(self, callback: &Callback, fact: Option<Fact<'_>>) -> Result<Option<Nudge>, StorageError> {
        let (Some(about), Some(fact)) = (callback.about, fact) else { return Ok(unknown("notice")) };
        let tx = self.store.tenant(about.org).await?;
        self.keep(tx, &about, callback, fact).await
    }
}

/// Which kind of actor writes the ticket: bridges are the call actor's.
async fn writer(tx: &mut TenantTx, about: &CallbackRef) -> Result<String, StorageError> {
    if about.bridge.is_some() {
        return Ok("call".to_owned());
    }
    Ok(tx.ticket(about.ticket).await?.map_or_else(|| "call".to_owned(), |ticket| ticket.actor))
}

/// A signed callback about nothing that we know.
pub(crate) fn unknown<T>(kind: &'static str) -> Option<T> {
    metrics::unknown_callback(kind);
    tracing::debug!(callback.kind = kind, "callback about nothing that is known");
    None
}

/// Answers with a script; with an apology when the rows could not be had in time.
pub(crate) async fn spoken(
    state: &AppState,
    kind: &'static str,
    work: impl Future<Output = Result<(TwiMl, Option<Nudge>), StorageError>>,
) -> TwiMl {
    match in_time(PATIENCE, kind, work).await {
        Ok((script, news)) => {
            tell(state, news);
            script
        }
        Err(_) => twiml::apology(""),
    }
}

/// Answers that the notice was taken, or that it was not.
pub(crate) async fn noted(
    state: &AppState,
    kind: &'static str,
    work: impl Future<Output = Result<Option<Nudge>, StorageError>>,
) -> Result<StatusCode, ApiError> {
    let news = in_time(PATIENCE, kind, work).await?;
    tell(state, news);
    Ok(StatusCode::NO_CONTENT)
}

/// A lost nudge costs one sweep, so nobody waits for it.
fn tell(state: &AppState, news: Option<Nudge>) {
    if let Some(Nudge { org, project, ticket, actor }) = news {
        state.directory().nudge(org, project, ticket, &actor);
    }
}

/// The rows were not there in time.
#[derive(Debug, thiserror::Error)]
#[error("{kind} callback was not kept within {patience:?}")]
struct TooSlow {
    kind: &'static str,
    patience: Duration,
}

/// What the work answers; a failure, a panic and slowness are errors that can be answered with.
async fn in_time<T>(
    patience: Duration,
    kind: &'static str,
    work: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, ApiError> {
    let (reason, error) = match tokio::time::timeout(patience, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(Ok(done))) => return Ok(done),
        Ok(Ok(Err(error))) => ("storage", error.into()),
        Ok(Err(_)) => ("panic", ApiError::panicked()),
        Err(_) => ("late", ApiError::storage_unavailable(&TooSlow { kind, patience })),
    };
    metrics::failed_callback(kind, reason);
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn failed<T: std::fmt::Debug>(
        patience: Duration,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> u16 {
        in_time(patience, "whisper", work).await.unwrap_err().status().as_u16()
    }

    #[tokio::test]
    async fn slow_rows_are_given_up_before_the_caller_hangs_up() {
        assert!(PATIENCE < Duration::from_secs(5));
        assert_eq!(failed(Duration::from_millis(5), std::future::pending::<Result<(), _>>()).await, 503);
    }

    #[tokio::test]
    async fn a_panic_and_an_error_are_failures_that_can_be_answered() {
        assert_eq!(failed(PATIENCE, async { Err::<(), _>(StorageError::Stale) }).await, 503);
        assert_eq!(failed::<()>(PATIENCE, async { panic!("planted") }).await, 500);
        assert_eq!(in_time(PATIENCE, "whisper", async { Ok(7) }).await.unwrap(), 7);
    }
}
