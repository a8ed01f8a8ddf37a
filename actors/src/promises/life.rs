//! How trees begin and end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use apex_storage::model::TicketId;
use serde_json::json;
use tokio::task::JoinSet;

use super::worker::{Act, Script};
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_first_messages_start_one_tree() {
    let (stage, directory) = open(quick()).await;
    let project = directory.project(stage.org, stage.project().await);
    let mut senders = JoinSet::new();
    for _ in 0..1000 {
        let project = project.clone();
        senders.spawn(async move { hunt(&project).await });
    }
    assert!(senders.join_all().await.iter().all(is_answer));
    assert_eq!((directory.starts(), directory.live_trees()), (1, 1));
    assert_eq!(tree(&project).await.fence, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn passivation_under_fire_loses_nothing_and_never_has_two_trees() {
    const MESSAGES: u64 = 5000;
    let (stage, directory) = open(quick()).await;
    let mut projects = Vec::new();
    for _ in 0..5 {
        projects.push(stage.project().await);
    }
    let mut senders = JoinSet::new();
    for sender in 0..20 {
        let (directory, projects, org) = (directory.clone(), projects.clone(), stage.org);
        senders.spawn(async move {
            for key in (0..MESSAGES).filter(|key| key % 20 == sender) {
                let id = projects[usize::try_from(key / 20 % 5).unwrap()];
                let project = directory.project(org, id);
                match key / 100 % 10 {
                    0 => drop(log_usage(&project, key).await.unwrap()),
                    1..4 => directory.nudge(org, id, TicketId::new(), "call"),
                    _ => assert!(is_answer(&hunt(&project).await)),
                }
            }
        });
    }
    let mut stopped = 0;
    while !senders.is_empty() {
        for project in &projects {
            stopped += u64::from(directory.passivate(*project, Duration::from_secs(5)).await);
        }
        while let Some(sender) = senders.try_join_next() {
            sender.unwrap();
        }
    }
    let scripts: Vec<_> = projects.iter().map(|project| Script::of(*project)).collect();
    let looked = || scripts.iter().map(|script| script.looks.lock().unwrap().len() as u64).sum::<u64>();
    until("every nudge to be looked at", async || looked() == MESSAGES * 3 / 10).await;
    let mut uses = 0;
    for project in &projects {
        uses += logged(&stage, *project).await;
    }
    assert_eq!(uses.unsigned_abs(), MESSAGES / 10);
    assert!(scripts.iter().all(|script| script.overlaps.load(Ordering::SeqCst) == 0));
    assert!(stopped > 20, "only {stopped} passivations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shutdown_answers_what_is_queued_and_refuses_what_is_new() {
    let (stage, directory) = open(quick()).await;
    let id = stage.project().await;
    let project = directory.project(stage.org, id);
    log_usage(&project, 1000).await.unwrap();
    let writer = stage.world.store.tenant(stage.org).await.unwrap(); // nobody else can write
    let mut senders = JoinSet::new();
    for key in 0..50 {
        let project = project.clone();
        senders.spawn(async move { log_usage(&project, key).await });
    }
    until("all to be queued", async || child(&project, ActorKind::Accountant).await.mailbox_depth == 50).await;
    let closing = directory.clone();
    let mut shutdown = JoinSet::new();
    shutdown.spawn(async move { closing.shutdown().await });
    until("the door to be shut", async || matches!(hunt(&project).await, Err(ActorError::Unavailable))).await;
    drop(writer);
    assert_eq!(shutdown.join_all().await, [vec![]], "nothing had to be killed");
    assert!(senders.join_all().await.iter().all(Result::is_ok));
    assert_eq!((logged(&stage, id).await, directory.live_trees()), (51, 0));
}

#[tokio::test]
async fn shutdown_kills_what_stays_busy_and_gives_every_project_back() {
    let (stage, directory) = open(Rules { drain_patience: Duration::from_millis(50), ..quick() }).await;
    let (id, ticket) = (stage.project().await, TicketId::new());
    let script = Script::of(id);
    script.set(ticket, Act::Stall);
    directory.nudge(stage.org, id, ticket, "call");
    until("the worker to be busy", async || script.looks_at(ticket) == 1).await;
    assert_eq!(directory.shutdown().await, [id]);
    stage.node.write().unwrap().id = "stage:next".into();
    let next = again(&stage).await;
    assert!(is_answer(&hunt(&next.project(stage.org, id)).await));
    assert_eq!(script.overlaps.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_caller_that_gave_up_does_not_kill_the_actor() {
    let (stage, directory) = open(Rules { call_timeout: Duration::from_millis(50), ..quick() }).await;
    let id = stage.project().await;
    let project = directory.project(stage.org, id);
    until("a first answer", async || log_usage(&project, 0).await.is_ok()).await;
    let writer = stage.world.store.tenant(stage.org).await.unwrap();
    assert!(matches!(log_usage(&project, 1).await, Err(ActorError::OutcomeUnknown)));
    assert_eq!(child(&project, ActorKind::Accountant).await.mailbox_depth, 1, "the work goes on and keeps its permit");
    drop(writer);
    until("the work to be done", async || logged(&stage, id).await == 2).await;
    assert_eq!((child(&project, ActorKind::Accountant).await.restarts, directory.starts()), (0, 1));
}

#[tokio::test]
async fn a_full_project_refuses_requests_and_still_takes_nudges() {
    let (stage, directory) = open(Rules { project_permits: 1, ..quick() }).await;
    let id = stage.project().await;
    let project = directory.project(stage.org, id);
    log_usage(&project, 0).await.unwrap();
    let writer = stage.world.store.tenant(stage.org).await.unwrap();
    let mut stalled = JoinSet::new();
    stalled.spawn({
        let project = project.clone();
        async move { log_usage(&project, 1).await }
    });
    until("it to be busy", async || child(&project, ActorKind::Accountant).await.mailbox_depth == 1).await;
    assert!(matches!(hunt(&project).await, Err(ActorError::Overloaded)));
    let ticket = TicketId::new();
    directory.nudge(stage.org, id, ticket, "call");
    drop(writer); // the supervisor's first start reads rows, too
    until("the nudge to be looked at", async || Script::of(id).looks_at(ticket) == 1).await;
    assert!(stalled.join_all().await.iter().all(Result::is_ok));
    until("a permit", async || is_answer(&hunt(&project).await)).await;
}

#[tokio::test]
async fn a_full_node_makes_room_by_stopping_the_longest_idle_tree() {
    let (stage, directory) = open(Rules { live_trees: 3, ..quick() }).await;
    let mut projects = Vec::new();
    for _ in 0..12 {
        let project = directory.project(stage.org, stage.project().await);
        assert!(is_answer(&hunt(&project).await));
        assert!(directory.live_trees() <= 3);
        projects.push(project);
    }
    assert_eq!(tree(&projects[11]).await.fence, Some(1));
    assert_eq!(tree(&projects[0]).await.fence, None);
}

#[tokio::test]
async fn only_idle_trees_are_put_to_sleep() {
    let (stage, directory) = open(Rules { idle_after: Duration::ZERO, ..quick() }).await;
    let (idle, busy, ticket) = (stage.project().await, stage.project().await, TicketId::new());
    Script::of(busy).set(ticket, Act::Stall);
    assert!(is_answer(&hunt(&directory.project(stage.org, idle)).await));
    directory.nudge(stage.org, busy, ticket, "call");
    until("it to be busy", async || Script::of(busy).looks_at(ticket) == 1).await;
    until("the idle one to sleep", async || directory.passivate_idle().await == 1).await;
    assert_eq!(tree(&directory.project(stage.org, idle)).await.node, None);
    let view = tree(&directory.project(stage.org, busy)).await;
    assert_eq!(view.node.as_ref(), Some(&directory.node().id));
    let bridge = view.child(ActorKind::SalesBridge).unwrap();
    assert_eq!((bridge.workers, bridge.worker_list[0].ticket_id, bridge.worker_list[0].mailbox_depth), (1, ticket, 1));
    Script::of(busy).release();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_nudges_are_one_worker_and_the_last_one_is_seen() {
    let (stage, directory) = open(quick()).await;
    let (id, ticket) = (stage.project().await, TicketId::new());
    let script = Script::of(id);
    script.set(ticket, Act::Stall);
    directory.nudge(stage.org, id, ticket, "task");
    until("the worker to be busy", async || script.looks_at(ticket) == 1).await;
    for _ in 0..1000 {
        directory.nudge(stage.org, id, ticket, "task");
    }
    let desk = || async { child(&directory.project(stage.org, id), ActorKind::Tickets).await };
    until("the queue to be passed on", async || desk().await.mailbox_depth == 0).await;
    assert_eq!(desk().await.worker_list[0].mailbox_depth, 2, "one in hand, one queued");
    script.release();
    until("the worker to be gone", async || desk().await.workers == 0).await;
    assert_eq!((script.looks_at(ticket), script.loads.load(Ordering::SeqCst)), (2, 1));
    directory.nudge(stage.org, id, ticket, "task");
    until("the next worker", async || script.loads.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn a_start_takes_up_all_unfinished_work_and_the_sweeper_finds_what_nobody_told() {
    let (stage, directory) = open(quick()).await;
    let (awake, asleep) = (stage.project().await, stage.project().await);
    let untold = stage.ticket(awake, "call", "sales_agent", &json!({})).await;
    directory.nudge(stage.org, awake, TicketId::new(), "call");
    until("the untold ticket", async || Script::of(awake).looks_at(untold) == 1).await;
    let orphan = stage.ticket(asleep, "task", "notify_sms", &json!({})).await;
    assert_eq!(Script::of(asleep).looks_at(orphan), 0);
    directory.start_sweeping();
    until("the orphan", async || Script::of(asleep).looks_at(orphan) > 0).await;
    assert!(directory.shutdown().await.is_empty());
}

#[tokio::test]
async fn use_is_priced_counted_once_per_key_and_paused_beyond_the_limit() {
    let (stage, directory) = open(quick()).await;
    let project = directory.project(stage.org, stage.project().await);
    let voice = |minutes: i64, key: &str| Request::LogUsage {
        resource: "twilio_voice".into(),
        quantity_milli: minutes * 1000,
        key: Some(key.into()),
    };
    let first = project.ask(voice(2, "a")).await.unwrap();
    assert_eq!(
        (&first["cost_micros"], &first["quantity"], &first["status"]),
        (&json!(100_000), &json!(2), &json!("ACTIVE"))
    );
    assert_eq!(project.ask(voice(2, "a")).await.unwrap(), first);
    let over = project.ask(voice(999, "b")).await.unwrap();
    assert_eq!((&over["status"], &over["month_to_date_micros"]), (&json!("PAUSED"), &json!(50_050_000)));
    let usage = project.ask(Request::Usage).await.unwrap();
    assert_eq!(usage["resources"][0]["quantity"], 1001);
    let fax = Request::LogUsage { resource: "fax".into(), quantity_milli: 1, key: None };
    let Err(ActorError::Refused(refusal)) = project.ask(fax).await else { panic!("a fax has no price") };
    assert_eq!((refusal.code, refusal.field.as_deref()), ("unknown_resource", Some("resource")));
    let stats = project.ask(Request::DashboardStats).await.unwrap();
    assert_eq!((&stats["leads"]["total"], &stats["tickets_unfinished"]["calls"]), (&json!(0), &json!(0)));
}
