//! What can go wrong with facts.

use crate::model::{OrgId, ProjectId};

/// Why a fact could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The lease of a tree is no longer the living one: nothing was written, and the writer must stop.
    #[error("fenced: another owner has taken over")]
    Fenced,
    /// Somebody else appended first: read again.
    #[error("stale: the row has moved on")]
    Stale,
    /// The row would stand twice.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// The tenant does not have this project.
    #[error("organisation {org} has no project {project}")]
    NoProject {
        /// The tenant that asked.
        org: OrgId,
        /// What it asked for.
        project: ProjectId,
    },
    /// A stored value cannot be understood.
    #[error("stored {what} cannot be read")]
    Corrupt {
        /// Which column.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server does not answer: it is frozen, gone or on its way back. Whether a commit under way happened is unknown.
    #[error("the database is away")]
    Away,
    /// There is no room for more facts: nothing was written.
    #[error("the disk of the database is full")]
    Full,
    /// The database refused or did not answer; whether a commit happened is unknown.
    #[error("database failed")]
    Database(#[source] sqlx::Error),
    /// The database cannot be used as it is set up.
    #[error("{0}")]
    Setup(String),
    /// Tables could not be brought up to date.
    #[error("migration failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

/// The code that `apex_fence` raises.
const FENCED: &str = "AX001";
/// `SQLITE_FULL`, `SQLITE_IOERR_SHMSIZE` (no room for the index of the log), and Postgres's `disk_full`.
const FULL: [&str; 3] = ["13", "4874", "53100"];

impl From<sqlx::Error> for StorageError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(inner) if inner.code().as_deref() == Some(FENCED) => Self::Fenced,
            sqlx::Error::Database(inner) if inner.code().is_some_and(|code| FULL.contains(&code.as_ref())) => {
                Self::Full
            }
            sqlx::Error::ColumnDecode { index, source } => Self::Corrupt { what: index, source },
            other => Self::Database(other),
        }
    }
}

/// An error with all its causes, for a log line: the text of an error names only itself.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl StorageError {
    /// Whether a unique rule of a table was the reason.
    pub(crate) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(inner)) if inner.is_unique_violation())
    }

    /// Whether a reference to a missing row was the reason.
    pub(crate) fn is_foreign_key_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(inner)) if inner.is_foreign_key_violation())
    }

    /// Whether only this connection broke, so that another one may do.
    pub(crate) fn is_broken_connection(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Io(_)) => true,
            Self::Database(sqlx::Error::Database(inner)) => {
                inner.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "25P03")
            }
            _ => false,
        }
    }

    /// Whether the same transaction may succeed when it is run again from its start: a lock was not had in time.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Away | Self::Database(sqlx::Error::PoolTimedOut) => true,
            Self::Database(sqlx::Error::Database(inner)) => {
                matches!(inner.code().as_deref(), Some("55P03" | "40P01" | "40001" | "5" | "6" | "517"))
            }
            _ => false,
        }
    }
}
