//! Nudges: "look at this ticket", fire and forget. A row is the truth, so a nudge may be lost; it only saves time.

use std::time::Duration;

use apex_storage::model::{OrgId, ProjectId, TicketId};
use ractor::MessagingErr;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::directory::{Directory, Live};
use crate::handle::MAX_ROUTES;
use crate::kind::ActorKind;
use crate::lease::Barred;
use crate::metrics;
use crate::project::ProjectMessage;

/// Errands that wait for a tree to be started; more are dropped.
pub(crate) const QUEUE: usize = 10_000;
/// Trees that are started for errands at the same time.
const AT_ONCE: usize = 16;

/// Something to tell a project that needs no answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    pub org: OrgId,
    pub project: ProjectId,
    pub what: What,
}

/// What it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// Something about a ticket may be new.
    Look { ticket: TicketId, kind: ActorKind },
    /// Its last tree crashed: take up its work.
    Wake,
}

impl Directory {
    /// Tells a project that something about a ticket may be new. Never waits and never fails: what is dropped is found by the
    /// sweeper. `actor` is the ticket's.
    pub fn nudge(&self, org: OrgId, project: ProjectId, ticket: TicketId, actor: &str) {
        let what = What::Look { ticket, kind: ActorKind::of_ticket(actor) };
        self.run(Errand { org, project, what });
    }

    /// Wakes a project after a while.
    pub(crate) fn wake_after(&self, wait: Duration, org: OrgId, project: ProjectId) {
        let directory = self.clone();
        self.own(async move {
            tokio::time::sleep(wait).await;
            directory.run(Errand { org, project, what: What::Wake });
        });
    }

    /// At once if the project is awake, else by the dispatcher.
    fn run(&self, errand: Errand) {
        let live = self.may_route().ok().and_then(|()| self.live(errand.project));
        let done = live.is_some_and(|live| self.deliver(&live, errand));
        if !done && self.0.errands.try_send(errand).is_err() {
            metrics::nudge_dropped();
        }
    }

    /// `false`: the tree is going away.
    fn deliver(&self, live: &Live, errand: Errand) -> bool {
        let permit = match live.gate.enter_nudge(self.monotonic()) {
            Ok(permit) => permit,
            Err(Barred::Closing) => return false,
            Err(Barred::Full) => {
                metrics::nudge_dropped();
                return true;
            }
        };
        let message = match errand.what {
            What::Look { ticket, kind } => ProjectMessage::Nudge { ticket, kind, permit },
            What::Wake => ProjectMessage::Wake(permit),
        };
        !matches!(live.actor.send_message(message), Err(MessagingErr::SendErr(_)))
    }

    async fn start_for(self, errand: Errand) {
        for _ in 0..MAX_ROUTES {
            match self.route(errand.org, errand.project).await {
                Ok(live) if self.deliver(&live, errand) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(project.id = %errand.project, %error, "a nudge found no tree");
                    break;
                }
            }
        }
        metrics::nudge_dropped();
    }
}

/// Serves the errands of projects that are not awake.
pub(crate) async fn dispatch(directory: Directory, mut waiting: mpsc::Receiver<Errand>) {
    let mut running = JoinSet::new();
    while let Some(errand) = waiting.recv().await {
        while running.len() >= AT_ONCE {
            running.join_next().await;
        }
        running.spawn(directory.clone().start_for(errand));
        while running.try_join_next().is_some() {}
    }
}
