//! What happens when something fails.

use std::sync::atomic::Ordering;
use std::time::Duration;

use apex_storage::model::TicketId;
use apex_storage::{Claim, EventRow, ParkedActor, TicketFilter};

use super::worker::{Act, Script};
use super::*;
use crate::restart::RestartRule;

async fn parked(stage: &Stage, project: ProjectId) -> Vec<ParkedActor> {
    stage.world.store.tenant_read(stage.org).await.unwrap().parked_actors(project).await.unwrap()
}

async fn events(stage: &Stage, project: ProjectId) -> Vec<EventRow> {
    stage.world.store.tenant_read(stage.org).await.unwrap().recent_events(project, 100).await.unwrap()
}

/// Fails until the sentinel is parked.
async fn park_sentinel(stage: &Stage, project: &ProjectHandle) {
    stage.outside.check_panics.store(true, Ordering::SeqCst);
    until("the sentinel to be parked", async || matches!(check_health(project).await, Err(ActorError::Parked(_))))
        .await;
    stage.outside.check_panics.store(false, Ordering::SeqCst);
}

#[tokio::test]
async fn a_panic_restarts_the_child_and_nobody_else_notices() {
    let (stage, directory) = open(quick()).await;
    let project = directory.project(stage.org, stage.project().await);
    let other = directory.project(stage.org, stage.project().await);
    for handle in [&project, &other] {
        log_usage(handle, 1).await.unwrap();
    }
    stage.outside.check_panics.store(true, Ordering::SeqCst);
    assert!(matches!(check_health(&project).await, Err(ActorError::OutcomeUnknown)));
    stage.outside.check_panics.store(false, Ordering::SeqCst);
    until("the sentinel to be back", async || check_health(&project).await.is_ok()).await;
    assert_eq!(child(&project, ActorKind::Sentinel).await.restarts, 1);
    assert_eq!(child(&project, ActorKind::Accountant).await.restarts, 0);
    assert_eq!(child(&other, ActorKind::Accountant).await.restarts, 0);
    assert_eq!((directory.starts(), directory.crashes()), (2, 0));
}

#[tokio::test]
async fn the_eleventh_failure_parks_and_is_written_told_and_tried_again() {
    let (stage, directory) = open(quick()).await;
    let id = stage.project().await;
    let project = directory.project(stage.org, id);
    stage.outside.check_panics.store(true, Ordering::SeqCst);
    for failure in 1..=11 {
        assert!(matches!(check_health(&project).await, Err(ActorError::OutcomeUnknown)), "failure {failure}");
        let expected = if failure == 11 { "parked" } else { "running" };
        until(expected, async || child(&project, ActorKind::Sentinel).await.state == expected).await;
    }
    stage.outside.check_panics.store(false, Ordering::SeqCst);
    assert!(matches!(check_health(&project).await, Err(ActorError::Parked("sentinel"))));
    assert!(log_usage(&project, 1).await.is_ok(), "the others work on");
    let rows = parked(&stage, id).await;
    assert_eq!((rows.len(), rows[0].actor.as_str(), rows[0].failures), (1, "sentinel", 11));
    let told = &events(&stage, id).await[0];
    assert_eq!((told.kind.as_str(), &told.payload["actor"]), ("actor.parked", &Value::from("sentinel")));
    let mut tx = stage.world.store.tenant_read(stage.org).await.unwrap();
    let filter = TicketFilter { project_id: Some(id), limit: 10, ..TicketFilter::default() };
    let alarm = tx.tickets(&filter).await.unwrap().remove(0);
    drop(tx);
    assert_eq!((alarm.task.as_str(), &alarm.params["incident"]), ("notify_sms", &Value::Bool(true)));
    until("the alarm to be taken up", async || Script::of(id).looks_at(alarm.id) > 0).await;
    until("the next trial", async || check_health(&project).await.is_ok()).await;
    assert_eq!(child(&project, ActorKind::Sentinel).await.restarts, 11);
}

#[tokio::test]
async fn parking_survives_passivation_and_ends_after_holding_out() {
    let restart =
        RestartRule { window: Duration::from_millis(400), parked_for: Duration::from_millis(600), ..quick().restart };
    let (stage, directory) = open(Rules { restart, ..quick() }).await;
    let id = stage.project().await;
    let project = directory.project(stage.org, id);
    park_sentinel(&stage, &project).await;
    assert!(directory.passivate(id, Duration::from_secs(5)).await);
    assert_eq!(child(&project, ActorKind::Sentinel).await.parked_until, Some(parked(&stage, id).await[0].retry_at));
    assert!(matches!(check_health(&project).await, Err(ActorError::Parked(_))), "the next tree knows");
    until("the next trial", async || check_health(&project).await.is_ok()).await;
    assert_eq!(parked(&stage, id).await.len(), 1, "it has not held out yet");
    until("trust", async || check_health(&project).await.is_ok() && parked(&stage, id).await.is_empty()).await;
    assert_eq!(events(&stage, id).await.len(), 1);
}

#[tokio::test]
async fn a_failure_of_the_next_trial_parks_again_at_once_and_texts_nobody_again() {
    let (stage, directory) = open(quick()).await;
    let id = stage.project().await;
    let project = directory.project(stage.org, id);
    park_sentinel(&stage, &project).await;
    stage.outside.check_panics.store(true, Ordering::SeqCst);
    until("the next trial", async || matches!(check_health(&project).await, Err(ActorError::OutcomeUnknown))).await;
    until("parked again", async || events(&stage, id).await.len() == 2).await;
    assert_eq!(parked(&stage, id).await[0].failures, 1);
    let mut tx = stage.world.store.tenant_read(stage.org).await.unwrap();
    let filter = TicketFilter { project_id: Some(id), limit: 10, ..TicketFilter::default() };
    assert_eq!(tx.tickets(&filter).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failed_worker_looks_again_by_itself_and_only_its_ticket_waits() {
    let (stage, directory) = open(quick()).await;
    let (id, bad, good) = (stage.project().await, TicketId::new(), TicketId::new());
    let script = Script::of(id);
    script.set(bad, Act::Panic);
    script.set(good, Act::Wait);
    directory.nudge(stage.org, id, bad, "call");
    directory.nudge(stage.org, id, good, "call");
    until("some failures", async || script.looks_at(bad) > 3 && script.looks_at(good) == 1).await;
    script.set(bad, Act::End);
    until("its ticket to be done", async || script.over.lock().unwrap().contains(&bad)).await;
    let bridge = || async { child(&directory.project(stage.org, id), ActorKind::SalesBridge).await };
    until("only the good one to be left", async || bridge().await.workers == 1).await;
    assert_eq!((script.looks_at(good), bridge().await.restarts), (1, 0));
}

#[tokio::test]
async fn a_fenced_tree_is_stopped_and_the_next_message_claims_anew() {
    let (stage, directory) = open(quick()).await;
    let id = stage.project().await;
    let project = directory.project(stage.org, id);
    log_usage(&project, 1).await.unwrap();
    let mut tx = stage.world.store.system().await.unwrap();
    let Claim::Granted(thief) = tx.claim(stage.org, id, &directory.node().id).await.unwrap() else { panic!("claimed") };
    tx.commit().await.unwrap();
    assert!(log_usage(&project, 2).await.is_err(), "its writes no longer land");
    until("a new tree", async || log_usage(&project, 3).await.is_ok()).await;
    assert_eq!(tree(&project).await.fence, Some(thief.fence + 1));
    assert_eq!((logged(&stage, id).await, directory.crashes()), (2, 1));
}

#[tokio::test]
async fn a_worker_that_is_fenced_ends_the_whole_tree() {
    let (stage, directory) = open(quick()).await;
    let (id, ticket) = (stage.project().await, TicketId::new());
    Script::of(id).set(ticket, Act::Write);
    directory.nudge(stage.org, id, ticket, "call");
    until("a first look", async || Script::of(id).looks_at(ticket) == 1).await;
    let mut tx = stage.world.store.system().await.unwrap();
    tx.claim(stage.org, id, &directory.node().id).await.unwrap();
    tx.commit().await.unwrap();
    directory.nudge(stage.org, id, ticket, "call");
    until("the end of the tree", async || directory.live_trees() == 0).await;
    assert_eq!(directory.crashes(), 1);
}

#[tokio::test]
async fn a_lost_node_kills_its_trees_and_comes_back_under_another_id() {
    let (stage, directory) = open(quick()).await;
    let (id, ticket) = (stage.project().await, TicketId::new());
    let script = Script::of(id);
    script.set(ticket, Act::Stall);
    directory.nudge(stage.org, id, ticket, "call");
    until("the worker to be busy", async || script.looks_at(ticket) == 1).await;
    let lost = directory.node();
    let mut tx = stage.world.store.system().await.unwrap();
    tx.leave_node(&lost.id).await.unwrap();
    tx.commit().await.unwrap();
    directory.come_back(&stage.world.store).await.unwrap();
    assert_ne!(directory.node().id, lost.id);
    assert!(directory.node().outlived(&lost.id));
    script.set(ticket, Act::End);
    until("a tree of the new node", async || is_answer(&hunt(&directory.project(stage.org, id)).await)).await;
    let view = tree(&directory.project(stage.org, id)).await;
    assert_eq!((view.node, view.fence), (Some(directory.node().id), Some(2)));
    assert_eq!(script.overlaps.load(Ordering::SeqCst), 0);
}
