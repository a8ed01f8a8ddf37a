//! The life of a lead.

use super::named;

named! {
    /// Where a lead came from.
    LeadSource {
        /// A lead form of Google Ads.
        GoogleAds = "google_ads",
        /// A form of a WordPress site.
        WordPress = "wordpress",
        /// Typed in by a person.
        Manual = "manual",
        /// Loaded from a file.
        Import = "import",
        /// Sent by another program.
        Integration = "integration",
        /// Found on a job board.
        Sniper = "sniper",
        /// Rang the project's number.
        InboundCall = "inbound_call",
    }
}

named! {
    /// How far a lead has come.
    LeadStatus {
        /// Nobody has spoken to them.
        New = "new",
        /// Spoken to.
        Contacted = "contacted",
        /// Worth an offer.
        Qualified = "qualified",
        /// Not a customer.
        Disqualified = "disqualified",
        /// Has an offer.
        Proposal = "proposal",
        /// Bought.
        Won = "won",
        /// Did not buy.
        Lost = "lost",
    }
}

impl LeadStatus {
    /// Whether the move is legal: one step forward, or out as disqualified before there is an offer.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::New => matches!(next, Self::Contacted | Self::Disqualified),
            Self::Contacted => matches!(next, Self::Qualified | Self::Disqualified),
            Self::Qualified => matches!(next, Self::Proposal | Self::Disqualified),
            Self::Proposal => matches!(next, Self::Won | Self::Lost),
            Self::Disqualified | Self::Won | Self::Lost => false,
        }
    }

    /// The status after a conversation: only a new lead is changed by it.
    #[must_use]
    pub const fn after_conversation(self) -> Self {
        match self {
            Self::New => Self::Contacted,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LeadStatus;

    #[test]
    fn a_lead_never_goes_back() {
        for from in LeadStatus::ALL {
            for to in LeadStatus::ALL.iter().filter(|to| from.may_become(**to)) {
                assert!(to > from, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn a_conversation_moves_only_a_new_lead() {
        assert_eq!(LeadStatus::New.after_conversation(), LeadStatus::Contacted);
        assert_eq!(LeadStatus::Won.after_conversation(), LeadStatus::Won);
    }
}
