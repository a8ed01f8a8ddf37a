//! The typed handle that the rest of the program holds of a project.

use std::sync::Arc;

use apex_storage::model::{OrgId, ProjectId};
use ractor::MessagingErr;
use ractor::rpc::CallResult;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use crate::directory::Directory;
use crate::error::ActorError;
use crate::lease::{Barred, Permit};
use crate::project::{ProjectMessage, TreeView};
use crate::request::Request;

/// Routes tried before a request is told that its project is moving.
pub(crate) const MAX_ROUTES: usize = 16;

/// One project, whether or not it has a live tree. Cheap to clone; never stale.
#[derive(Clone)]
pub struct ProjectHandle {
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) directory: Directory,
}

impl ProjectHandle {
    /// Asks the project, starting its tree if need be.
    ///
    /// # Errors
    ///
    /// `Overloaded`, `Unavailable`, `Parked`, `Elsewhere`, `Refused`: nothing was done. `OutcomeUnknown`: it was sent and no
    /// answer came; repeat with the same key. `Storage`: rows could not be read or written, nothing was changed.
    pub async fn ask(&self, request: Request) -> Result<Value, ActorError> {
        let node = Arc::new(self.directory.permit()?);
        let mut request = request;
        for _ in 0..MAX_ROUTES {
            match self.try_once(request, Arc::clone(&node)).await {
                Ok(answer) => return answer,
                Err(back) => request = back,
            }
        }
        Err(ActorError::Unavailable)
    }

    /// The live tree, or, when there is none on this node, what rows say: who is parked. `None`: neither the tree nor the
    /// rows could be looked at. Needs no permit: an overloaded project can be looked at.
    pub async fn tree(&self) -> Option<TreeView> {
        if let Some(live) = self.directory.live(self.project) {
            let timeout = self.directory.world().rules.call_timeout;
            match live.actor.call(ProjectMessage::Tree, Some(timeout)).await {
                Ok(CallResult::Success(view)) => return Some(view),
                Ok(CallResult::Timeout) => return None,
                Ok(CallResult::SenderError) | Err(_) => {}
            }
        }
        let mut tx = self.directory.world().store.tenant_read(self.org).await.ok()?;
        let parked = tx.parked_actors(self.project).await.ok()?;
        Some(TreeView::asleep(self.project, &parked))
    }

    /// The outer error is the request, unsent: its tree was going away.
    async fn try_once(
        &self,
        request: Request,
        node: Arc<OwnedSemaphorePermit>,
    ) -> Result<Result<Value, ActorError>, Request> {
        let live = match self.directory.route(self.org, self.project).await {
            Ok(live) => live,
            Err(error) => return Ok(Err(error)),
        };
        let project = match live.gate.enter(self.directory.monotonic()) {
            Ok(permit) => permit,
            Err(Barred::Full) => return Ok(Err(ActorError::Overloaded)),
            Err(Barred::Closing) => return Err(request),
        };
        let permit = Permit { _project: project, _node: node };
        let ask = |reply| ProjectMessage::Ask { request, permit, reply };
        match live.actor.call(ask, Some(self.directory.world().rules.call_timeout)).await {
            Ok(CallResult::Success(answer)) => Ok(answer),
            Ok(CallResult::Timeout | CallResult::SenderError) => Ok(Err(ActorError::OutcomeUnknown)),
            Err(MessagingErr::SendErr(ProjectMessage::Ask { request, .. })) => Err(request),
            Err(_) => Ok(Err(ActorError::Unavailable)),
        }
    }
}
