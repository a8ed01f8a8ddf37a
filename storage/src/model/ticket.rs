//! The life of a ticket.

use super::named;

named! {
    /// Where a ticket stands.
    TicketState {
        /// Committed, not begun.
        Accepted = "accepted",
        /// In the hands of its actor.
        Running = "running",
        /// Waiting for the outside or for a time, holding nothing but its row.
        Waiting = "waiting",
        /// Ended as asked.
        Completed = "completed",
        /// Ended without success; the code says why.
        Failed = "failed",
        /// Ended because somebody asked for it.
        Cancelled = "cancelled",
        /// Set aside after repeated crashes, for a person to look at.
        Dead = "dead",
    }
}

impl TicketState {
    /// Whether nothing more will happen by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Dead)
    }

    /// Whether the move is legal. A final state is left only by a person's retry, which goes back to accepted.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Accepted | Self::Running | Self::Waiting => !matches!(next, Self::Accepted),
            Self::Failed | Self::Dead => matches!(next, Self::Accepted),
            Self::Completed | Self::Cancelled => false,
        }
    }

    /// What a client that knows three states is told: processing, completed or failed.
    pub const fn public(self) -> &'static str {
        match self {
            Self::Accepted | Self::Running | Self::Waiting => "processing",
            Self::Completed => "completed",
            Self::Failed | Self::Cancelled | Self::Dead => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TicketState;

    #[test]
    fn a_final_state_is_left_only_by_a_retry() {
        for from in TicketState::ALL.iter().filter(|state| state.is_final()) {
            for to in TicketState::ALL.iter().filter(|to| from.may_become(**to)) {
                assert_eq!(*to, TicketState::Accepted, "{from} -> {to}");
            }
        }
        assert!(!TicketState::Completed.may_become(TicketState::Accepted), "what is done is not done again");
        assert!(!TicketState::Cancelled.may_become(TicketState::Accepted), "who ended it begins a new one");
    }

    #[test]
    fn every_unfinished_state_can_end_in_every_way() {
        for from in [TicketState::Accepted, TicketState::Running, TicketState::Waiting] {
            for to in TicketState::ALL.iter().filter(|state| state.is_final()) {
                assert!(from.may_become(*to), "{from} -> {to}");
            }
        }
    }
}
