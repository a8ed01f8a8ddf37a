//! A project's tree as it is shown.

use std::sync::atomic::Ordering;

use apex_storage::ParkedActor;
use apex_storage::model::{ProjectId, TicketId};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::child::{Child, Place};
use super::{ActorKind, ProjectState};

/// Workers that are listed one by one.
const LISTED: usize = 50;

/// A project's tree as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeView {
    /// The project.
    pub project: ProjectId,
    /// The node that the tree lives on; `None`: there is no live tree on this node.
    pub node: Option<String>,
    /// The fence of its lease; grows with every tree of the project.
    pub fence: Option<i64>,
    /// One entry per kind of actor.
    pub children: Vec<ChildView>,
}

/// One actor as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChildView {
    /// Its kind.
    pub actor: &'static str,
    /// `not_started`, `running`, `backing_off` or `parked`.
    pub state: &'static str,
    /// Messages passed to it and not done yet.
    pub mailbox_depth: usize,
    /// Restarts since the tree was started.
    pub restarts: u64,
    /// When it last got a message.
    pub last_message: Option<DateTime<Utc>>,
    /// Tickets that have a worker.
    pub workers: usize,
    /// Some of them.
    pub worker_list: Vec<WorkerView>,
    /// When it is tried again, if it is parked.
    pub parked_until: Option<DateTime<Utc>>,
}

/// One ticket's worker as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerView {
    /// Its ticket.
    pub ticket_id: TicketId,
    /// Looks queued and in hand.
    pub mailbox_depth: usize,
}

impl ProjectState {
    pub(super) fn view(&self) -> TreeView {
        let children = ActorKind::ALL.into_iter().map(|kind| self.children[kind as usize].view(kind)).collect();
        TreeView {
            project: self.args.lease.project,
            node: Some(self.args.lease.node.clone()),
            fence: Some(self.args.lease.fence),
            children,
        }
    }
}

impl TreeView {
    /// What rows say of a project that has no live tree here.
    pub(crate) fn asleep(project: ProjectId, parked: &[ParkedActor]) -> Self {
        let asleep = |kind: ActorKind| {
            let row = parked.iter().find(|row| row.actor == kind.as_str());
            ChildView { parked_until: row.map(|row| row.retry_at), ..Child::default().view(kind) }
        };
        Self { project, node: None, fence: None, children: ActorKind::ALL.into_iter().map(asleep).collect() }
    }

    /// One of its actors.
    pub fn child(&self, kind: ActorKind) -> Option<&ChildView> {
        self.children.iter().find(|child| child.actor == kind.as_str())
    }
}

impl Child {
    fn view(&self, kind: ActorKind) -> ChildView {
        let (state, parked_until) = match self.place {
            Place::NotStarted => ("not_started", None),
            Place::Running(_) => ("running", None),
            Place::BackingOff => ("backing_off", None),
            Place::Parked { until } => ("parked", Some(until)),
        };
        let (workers, listed) = self.roster.list(LISTED);
        let worker_list =
            listed.into_iter().map(|(ticket_id, mailbox_depth)| WorkerView { ticket_id, mailbox_depth }).collect();
        ChildView {
            actor: kind.as_str(),
            state,
            mailbox_depth: self.depth.load(Ordering::Relaxed),
            restarts: self.restarts,
            last_message: self.last_message,
            workers,
            worker_list,
            parked_until,
        }
    }
}
