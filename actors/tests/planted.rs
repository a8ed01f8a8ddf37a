//! Planted panics against the real workers: whatever dies, the work is done, and once. A binary of its own, because faults
//! are armed once per process.

#[path = "stage/world.rs"]
mod stage;

use std::sync::Arc;
use std::time::Duration;

use apex_actors::{ActorError, ActorKind, Directory, ProjectHandle, Request};
use serde_json::{Value, json};
use stage::{Stage, quick, until};

async fn usage(project: &ProjectHandle) -> Result<Value, ActorError> {
    project.ask(Request::Usage).await
}

#[tokio::test]
async fn whatever_is_made_to_panic_the_work_is_done_once_and_the_boss_is_told() {
    apex_storage::fault::arm("project.handle=panic*2,accountant.handle=panic*11").unwrap();
    let stage = Stage::new(quick()).await;
    let directory = Directory::open(Arc::clone(&stage.world), Arc::clone(&stage.node)).await.unwrap();
    let id = stage.project().await;
    let (texts, project) = (|| stage.outside.texts.lock().unwrap().clone(), directory.project(stage.org, id));

    // The project dies with the nudge, dies again when it is woken, and is woken once more: nobody sends another message.
    let ticket = stage.ticket(id, "task", "notify_sms", &json!({ "text": "Hot lead" })).await;
    directory.nudge(stage.org, id, ticket, "task");
    until("the text to be sent", async || texts() == ["Hot lead"]).await;
    assert_eq!((directory.crashes(), directory.starts()), (2, 3));

    // The accountant dies eleven times and is parked; the boss is told by the ticket desk, which works on.
    until("the accountant to be parked", async || matches!(usage(&project).await, Err(ActorError::Parked(_)))).await;
    until("the boss to be told", async || texts().len() == 2).await;
    assert!(texts()[1].contains("the accountant of Acme Plumbing stopped after 11 failures"), "{:?}", texts());
    let view = project.tree().await.unwrap();
    assert_eq!(view.child(ActorKind::Accountant).map(|child| child.state), Some("parked"));
    until("the next trial", async || usage(&project).await.is_ok()).await;

    // A ticket nobody was told of, on a node that comes back.
    assert!(directory.shutdown().await.is_empty());
    let _late = stage.ticket(id, "task", "notify_sms", &json!({ "text": "Late lead" })).await;
    stage.node.write().unwrap().id = "stage:second".into();
    let second = Directory::open(Arc::clone(&stage.world), Arc::clone(&stage.node)).await.unwrap();
    second.start_sweeping();
    until("the late text", async || texts().len() == 3).await;
    assert!(second.passivate(id, Duration::from_secs(5)).await);
    assert_eq!(second.shutdown().await, []);
}
