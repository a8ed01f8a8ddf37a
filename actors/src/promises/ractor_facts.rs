//! What the tree relies on in ractor. If an upgrade changes one of these, the tree may be simplified.

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

/// Tries to start a child when told to, and reports how that went.
struct Parent;

/// The start waits for the first, the result goes into the second.
type Start = (oneshot::Receiver<()>, oneshot::Sender<bool>);

impl Actor for Parent {
    type Msg = Start;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Start>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<Start>, (go, told): Start, (): &mut ()) -> Result<(), ActorProcessingErr> {
        go.await?;
        let child = Child::spawn_linked(None, Child, Duration::ZERO, myself.get_cell()).await;
        let _ = told.send(child.is_ok());
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Start>,
        _: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

struct Child;

impl Actor for Child {
    type Msg = ();
    type State = ();
    type Arguments = Duration;

    async fn pre_start(&self, _: ActorRef<()>, delay: Duration) -> Result<(), ActorProcessingErr> {
        tokio::time::sleep(delay).await;
        Ok(())
    }
}

#[tokio::test]
async fn a_draining_parent_cannot_start_the_child_that_its_queue_needs() {
    let (parent, _) = Parent::spawn(None, Parent, ()).await.unwrap();
    let ((go, wait), (told, started)) = (oneshot::channel(), oneshot::channel());
    parent.send_message((wait, told)).ok().unwrap();
    parent.drain().unwrap();
    go.send(()).unwrap();
    assert!(!started.await.unwrap(), "ractor now links to a draining parent");
}

#[tokio::test(start_paused = true)]
async fn whoever_starts_a_child_waits_for_its_pre_start() {
    let (parent, _) = Parent::spawn(None, Parent, ()).await.unwrap();
    let before = tokio::time::Instant::now();
    Child::spawn_linked(None, Child, Duration::from_secs(7), parent.get_cell()).await.unwrap();
    assert!(before.elapsed() >= Duration::from_secs(7));
}
