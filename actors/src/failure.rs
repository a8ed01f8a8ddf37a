//! Why an actor died, as far as its supervisor must know.

use apex_storage::StorageError;
use ractor::ActorProcessingErr;

/// What ended an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It panicked.
    Panic,
    /// Rows could not be read or written, so its memory was given up.
    Storage,
    /// Another owner has taken over: the whole tree has to go.
    Fenced,
    /// It was stopped from outside.
    Stopped,
}

impl Cause {
    /// What an actor's last error says.
    pub fn of(error: &ActorProcessingErr) -> Self {
        match error.downcast_ref::<StorageError>() {
            Some(StorageError::Fenced) => Self::Fenced,
            Some(_) => Self::Storage,
            None => Self::Panic,
        }
    }

    /// The name in metrics and rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Storage => "storage",
            Self::Fenced => "fenced",
            Self::Stopped => "stopped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_told_from_other_failures() {
        assert_eq!(Cause::of(&StorageError::Fenced.into()), Cause::Fenced);
        assert_eq!(Cause::of(&StorageError::Stale.into()), Cause::Storage);
        assert_eq!(Cause::of(&ActorProcessingErr::from("index out of bounds")), Cause::Panic);
    }
}
