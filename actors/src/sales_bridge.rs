//! The two ticket desks of a project: the sales bridge for calls, the other for every other heavy task.
//!
//! Both are a [`TicketSupervisor`](crate::supervisor::TicketSupervisor); they differ in who works for them.

use apex_storage::fault::Fault;

use crate::call::CallRunner;
use crate::kind::ActorKind;
use crate::supervisor::Post;
use crate::task_ticket::TaskRunner;

/// Who works at a project's two desks.
#[derive(Clone, Copy)]
pub(crate) struct Crew {
    /// The sales bridge: boss and customer on one line.
    pub calls: Post,
    /// Every other heavy task.
    pub tasks: Post,
}

impl Crew {
    /// The crew of the program.
    pub fn house() -> Self {
        Self {
            calls: Post::of::<CallRunner>(ActorKind::SalesBridge, Some(Fault::SalesBridgeHandle)),
            tasks: Post::of::<TaskRunner>(ActorKind::Tickets, None),
        }
    }
}
