//! The sniper: would look for leads on job boards.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::Value;

use crate::error::{ActorError, Refusal};
use crate::metrics::Handling;
use crate::project::{ChildArgs, Envelope};

/// Why a hunt is refused.
const REASON: &str = "platform adapters for job boards (trademe_jobs, facebook_groups) are not part of this release; \
                      leads come in through the form webhooks and POST /leads";

pub(crate) struct SniperActor;

impl Actor for SniperActor {
    type Msg = Envelope;
    type State = ChildArgs;
    type Arguments = ChildArgs;

    async fn pre_start(&self, _: ActorRef<Envelope>, args: ChildArgs) -> Result<ChildArgs, ActorProcessingErr> {
        Ok(args)
    }

    async fn handle(
        &self,
        _: ActorRef<Envelope>,
        envelope: Envelope,
        _: &mut ChildArgs,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = Handling::of("sniper", envelope.request.name());
        envelope.answer(refuse());
        Ok(())
    }
}

fn refuse() -> Result<Value, ActorError> {
    Err(Refusal::new("task_unavailable", REASON).into())
}
