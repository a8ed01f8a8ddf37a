//! What a ticket's worker does: the seam between the tree, which keeps it alive, and the work itself.

use std::sync::Arc;

use apex_storage::model::TicketId;
use apex_storage::{Lease, Node, StorageError};
use chrono::{DateTime, Duration, Utc};

use crate::world::World;

/// Where a runner works: under whose lease, on which node, at which ticket.
pub(crate) struct Seat {
    pub world: Arc<World>,
    /// What every write of the ticket is made under.
    pub lease: Lease,
    pub node: Node,
    pub ticket: TicketId,
    /// Whether the worker before this one panicked with the ticket in hand.
    pub panicked: bool,
}

/// What is left to do after an advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing before the ticket is due or nudged again.
    Waiting,
    /// Nothing for so long that nobody need stay: whoever is nudged reads the ticket again.
    Long,
    /// Nothing at all.
    Over,
}

/// A ticket that waits longer holds nothing but its row.
const LONG: Duration = Duration::seconds(20);

impl Rest {
    /// The rest of a ticket that was laid down at `now`.
    pub fn until(until: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        if until - now > LONG { Self::Long } else { Self::Waiting }
    }
}

/// The only writer of one ticket.
pub(crate) trait Runner: Send + Sized + 'static {
    /// The `actor` of its tickets.
    const ACTOR: &'static str;

    /// Reads the ticket and all that belongs to it.
    fn load(seat: Seat) -> impl Future<Output = Result<Self, StorageError>> + Send;

    /// Does what can be done now. An error means that memory and rows may differ: the worker dies, and the next one loads.
    fn advance(&mut self) -> impl Future<Output = Result<Rest, StorageError>> + Send;
}
