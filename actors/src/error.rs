//! What a caller of an actor can be told. The list is closed: the HTTP layer maps each variant to one status code.

use apex_storage::StorageError;
use apex_storage::model::ProjectId;

/// Why a request to a project was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActorError {
    /// No permit: nothing was sent, try later.
    #[error("too many requests in flight")]
    Overloaded,
    /// Nothing was done: the node is closing, or the actor is waiting for its restart.
    #[error("project is moving or restarting")]
    Unavailable,
    /// The actor failed too often and waits for its next trial; nothing was done.
    #[error("{0} is parked after repeated failures")]
    Parked(&'static str),
    /// Another node owns the project.
    #[error("project is owned by {0}")]
    Elsewhere(String),
    /// It was sent and no answer came: repeat with the same key.
    #[error("outcome unknown, repeat with the same key")]
    OutcomeUnknown,
    /// The actor said no.
    #[error("{0}")]
    Refused(Refusal),
    /// The project is not there.
    #[error("project {0} is not known")]
    UnknownProject(ProjectId),
    /// Rows could not be read or written.
    #[error("storage failed")]
    Storage(#[from] StorageError),
}

/// A considered no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// For programs: `task_unavailable`, `unknown_resource`, ...
    pub code: &'static str,
    /// For people: why, and what to do.
    pub detail: String,
    /// The parameter it is about.
    pub field: Option<String>,
}

impl Refusal {
    /// A no with its reason.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None }
    }

    /// A no about one parameter.
    pub fn about(code: &'static str, field: &str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: Some(field.to_owned()) }
    }
}

impl From<Refusal> for ActorError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
