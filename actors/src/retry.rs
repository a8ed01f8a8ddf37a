//! When a failed piece of work is tried again, and which tickets a person may begin again. Pure; chance is passed in.

use apex_storage::Ticket;
use apex_storage::model::TicketState;
use chrono::Duration;

use crate::error::Refusal;
use crate::ports::PortError;

/// What a failure means for another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It may succeed when it is tried again.
    Retryable,
    /// It will not succeed.
    Permanent,
}

impl Class {
    /// The name in journals and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retryable => "retryable",
            Self::Permanent => "permanent",
        }
    }
}

impl From<&PortError> for Class {
    fn from(error: &PortError) -> Self {
        match error {
            PortError::Transient(_) | PortError::Missing(_) => Self::Retryable,
            PortError::Permanent(_) | PortError::NotConfigured(_) => Self::Permanent,
        }
    }
}

/// How often and how fast a piece of work is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryRule {
    /// Tries in all.
    pub tries: u32,
    /// The wait after the first failure; doubled by each further one.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

/// Work after a call: media that is not there yet, a model that is busy.
pub(crate) const WORK: RetryRule =
    RetryRule { tries: 4, first: Duration::milliseconds(500), longest: Duration::seconds(16) };
/// A call or message that the provider certainly did not take: a lead waits, so it is tried for as long as it takes.
pub(crate) const SEND: RetryRule =
    RetryRule { tries: u32::MAX, first: Duration::seconds(1), longest: Duration::seconds(30) };

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try again after this wait.
    Again(Duration),
    /// It has failed.
    GiveUp,
}

impl RetryRule {
    /// Judges the failure of the `nth` try, counted from 1. `asked` is the wait that the other side asks for; `jitter` is
    /// 0..=1000, in thousandths of a quarter of the wait, so that what failed together is not tried together.
    pub fn judge(&self, nth: u32, class: Class, asked: Option<Duration>, jitter: u16) -> Verdict {
        if class == Class::Permanent || nth >= self.tries {
            return Verdict::GiveUp;
        }
        let whole = (self.first * (1 << nth.saturating_sub(1).min(16))).min(self.longest);
        let spread = whole / 4 * i32::from(jitter.min(1000)) / 1000;
        Verdict::Again(whole.max(asked.unwrap_or_default()) + spread)
    }
}

/// Whether a person may begin a ticket again: what is journalled as done is not repeated.
///
/// # Errors
///
/// `not_retryable`, with the reason and what to do instead.
pub fn retryable(ticket: &Ticket) -> Result<(), Refusal> {
    let refuse = |detail: &str| Err(Refusal::new("not_retryable", detail));
    match (ticket.state, ticket.code.as_deref()) {
        (TicketState::Failed, Some("call_held")) => {
            refuse("its call may have been placed; run instant_call for the lead to call anew")
        }
        (TicketState::Failed, Some("project_deleted")) => refuse("its project is deleted"),
        (TicketState::Failed | TicketState::Dead, _) => Ok(()),
        (TicketState::Completed, _) => refuse("it is completed; run the task again for a new ticket"),
        (TicketState::Cancelled, _) => refuse("it was cancelled; run the task again for a new ticket"),
        (TicketState::Accepted | TicketState::Running | TicketState::Waiting, _) => refuse("it is not over yet"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_the_tries_end() {
        let wait = |nth| WORK.judge(nth, Class::Retryable, None, 0);
        let expected = [500, 1_000, 2_000].map(|ms| Verdict::Again(Duration::milliseconds(ms)));
        assert_eq!([wait(1), wait(2), wait(3)], expected);
        assert_eq!(wait(4), Verdict::GiveUp);
        assert_eq!(SEND.judge(1_000, Class::Retryable, None, 0), Verdict::Again(Duration::seconds(30)));
    }

    #[test]
    fn what_cannot_succeed_is_not_tried_again() {
        assert_eq!(WORK.judge(1, Class::Permanent, None, 0), Verdict::GiveUp);
        assert_eq!(Class::from(&PortError::NotConfigured("telephony")), Class::Permanent);
        assert_eq!(Class::from(&PortError::Missing("media".into())), Class::Retryable);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_shorter_than_what_was_asked_nor_much_longer_than_the_longest(
            nth in 1_u32..2_000, asked in 0_i64..600, jitter in 0_u16..=1000
        ) {
            let Verdict::Again(wait) = SEND.judge(nth, Class::Retryable, Some(Duration::seconds(asked)), jitter) else {
                return Err(TestCaseError::fail("a send is tried on"));
            };
            prop_assert!(wait >= Duration::seconds(asked));
            prop_assert!(wait <= Duration::seconds(asked.max(30) + 8));
        }
    }
}
