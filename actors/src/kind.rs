//! The kinds of actor that a project has.

/// One of a project's actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// Calls: one worker per call ticket.
    SalesBridge,
    /// Every other heavy task: one worker per ticket.
    Tickets,
    /// Finds leads on job boards.
    Sniper,
    /// Knows what was spent.
    Accountant,
    /// Knows whether everything works.
    Sentinel,
}

impl ActorKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::SalesBridge, Self::Tickets, Self::Sniper, Self::Accountant, Self::Sentinel];

    /// The name in rows, metrics and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SalesBridge => "sales_bridge",
            Self::Tickets => "tickets",
            Self::Sniper => "sniper",
            Self::Accountant => "accountant",
            Self::Sentinel => "sentinel",
        }
    }

    /// The kind whose workers write tickets of this actor: `call` is the sales bridge's, everything else the ticket desk's.
    pub fn of_ticket(actor: &str) -> Self {
        if actor == "call" { Self::SalesBridge } else { Self::Tickets }
    }
}

impl std::fmt::Display for ActorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
