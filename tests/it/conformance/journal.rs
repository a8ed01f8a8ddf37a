//! The journal: one writer at a time, in order, closed by a final state.

use anyhow::Result;
use apex_storage::model::{TicketId, TicketState};
use apex_storage::{FencedTx, Journal, JournalEntry, Lease, Outcome, StorageError};
use chrono::TimeDelta;
use serde_json::json;

use super::tenants::{TwoTenants, all_different, until_free};

conformance! {
    entries_stand_in_order_without_gaps,
    only_the_writer_that_saw_the_newest_entry_appends,
    of_two_writers_at_once_one_is_stale,
    a_ticket_is_due_exactly_while_it_is_unfinished,
    a_finished_ticket_takes_no_entry,
    a_step_stands_once,
    an_entry_keeps_what_its_decision_looked_at,
    the_journals_of_tickets_that_are_over_for_long_are_forgotten_and_nothing_else,
    a_ticket_is_in_hand_only_while_it_runs,
}

fn running(bed: &TwoTenants) -> Outcome {
    Outcome::Running(bed.store.now() + TimeDelta::seconds(30))
}

fn stage(name: &str) -> JournalEntry {
    JournalEntry::stage(name, json!({ "größe": 1 }))
}

async fn entries_stand_in_order_without_gaps(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let mut tx = bed.store.fenced(&lease).await?;
    let entries =
        vec![stage("boss_ringing"), JournalEntry::note("odd", json!([1])), JournalEntry::step("fetch", json!(null))];
    assert_eq!(
        tx.write_journal(work.ticket, &Journal { wake: 0, basis: None, seen: 1, entries, outcome: running(&bed) })
            .await?,
        4
    );
    tx.commit().await?;
    bed.pass(1);
    let mut tx = bed.store.fenced(&lease).await?;
    let end = Outcome::Completed(json!({ "score": 9 }));
    assert_eq!(
        tx.write_journal(
            work.ticket,
            &Journal { wake: 0, basis: None, seen: 4, entries: vec![stage("end")], outcome: end }
        )
        .await?,
        6
    );
    tx.commit().await?;

    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let events = tx.ticket_events(work.ticket, 0, 99).await?;
    let told: Vec<_> = events.iter().map(|event| (event.seq, event.kind.as_str(), event.step.as_deref())).collect();
    let expected = [
        (1, "accepted", None),
        (2, "stage", Some("boss_ringing")),
        (3, "note", Some("odd")),
        (4, "step", Some("fetch")),
        (5, "stage", Some("end")),
        (6, "completed", None),
    ];
    assert_eq!(told, expected);
    assert_eq!(
        (&events[1].data, &events[2].data, &events[3].data),
        (&json!({ "größe": 1 }), &json!([1]), &json!(null))
    );
    assert_eq!(events[5].at, bed.store.now());
    let after: Vec<_> = tx.ticket_events(work.ticket, 2, 2).await?.into_iter().map(|event| event.seq).collect();
    assert_eq!(after, [3, 4]);
    let ticket = tx.ticket(work.ticket).await?.expect("there");
    assert_eq!((ticket.seq, ticket.result), (6, Some(json!({ "score": 9 }))));
    Ok(())
}

async fn only_the_writer_that_saw_the_newest_entry_appends(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let journal = |seen| Journal { wake: 0, basis: None, seen, entries: vec![stage("x")], outcome: running(&bed) };
    let mut tx = bed.store.fenced(&lease).await?;
    assert_eq!(tx.write_journal(work.ticket, &journal(1)).await?, 2);
    for seen in [0, 1, 3] {
        assert!(matches!(tx.write_journal(work.ticket, &journal(seen)).await, Err(StorageError::Stale)), "{seen}");
    }
    assert!(matches!(tx.write_journal(TicketId::new(), &journal(1)).await, Err(StorageError::Stale)));
    tx.commit().await?;
    assert_eq!(bed.store.tenant_read(bed.a.org).await?.ticket_events(work.ticket, 0, 9).await?.len(), 2);
    Ok(())
}

async fn append(bed: &TwoTenants, lease: &Lease, ticket: TicketId) -> Result<bool> {
    let mut tx = bed.store.fenced(lease).await?;
    let journal = Journal { wake: 0, basis: None, seen: 1, entries: vec![stage("race")], outcome: running(bed) };
    match tx.write_journal(ticket, &journal).await {
        Ok(_) => Ok(tx.commit().await.map(|()| true)?),
        Err(StorageError::Stale) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn of_two_writers_at_once_one_is_stale(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    for _ in 0..5 {
        let work = bed.work(bed.a).await?;
        let (one, two) = {
            let write = || until_free(async || append(&bed, &lease, work.ticket).await);
            futures::join!(write(), write())
        };
        assert!(all_different([one?, two?]), "one appends, one is told to read again");
        assert_eq!(bed.store.tenant_read(bed.a.org).await?.ticket_events(work.ticket, 0, 9).await?.len(), 2);
    }
    Ok(())
}

fn finals() -> [Outcome; 4] {
    [
        Outcome::Completed(json!({ "ok": true })),
        Outcome::Failed("no_phone".to_owned(), json!({ "ok": false })),
        Outcome::Cancelled(json!({})),
        Outcome::Dead("crashed".to_owned()),
    ]
}

async fn a_ticket_is_due_exactly_while_it_is_unfinished(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let until = bed.store.now() + TimeDelta::seconds(30);
    let open = [(Outcome::Running(until), "running"), (Outcome::Waiting(until), "waiting")];
    for (outcome, state) in open {
        let (mut tx, ticket) = written(&bed, &lease, outcome).await?;
        let ticket = tx.ticket(ticket).await?.expect("there");
        assert_eq!((ticket.state.as_str(), ticket.due_at), (state, Some(until)));
    }
    let codes = [None, Some("no_phone"), Some("cancelled"), Some("crashed")];
    let results = [Some(json!({ "ok": true })), Some(json!({ "ok": false })), Some(json!({})), None];
    for ((outcome, code), result) in finals().into_iter().zip(codes).zip(results) {
        let state = outcome.state();
        let (mut tx, id) = written(&bed, &lease, outcome).await?;
        let ticket = tx.ticket(id).await?.expect("there");
        assert_eq!((ticket.state, ticket.due_at, ticket.in_hand), (state, None, None));
        assert_eq!((ticket.code.as_deref(), ticket.result), (code, result));
        let last = tx.ticket_events(id, 1, 9).await?;
        assert_eq!(last.len(), 1, "the end is an entry too");
        assert_eq!((last[0].kind.as_str(), &last[0].data), (state.as_str(), &json!({ "code": code })));
    }
    Ok(())
}

async fn written(bed: &TwoTenants, lease: &Lease, outcome: Outcome) -> Result<(FencedTx, TicketId)> {
    let work = bed.work(bed.a).await?;
    let mut tx = bed.store.fenced(lease).await?;
    tx.write_journal(work.ticket, &Journal { wake: 0, basis: None, seen: 1, entries: Vec::new(), outcome }).await?;
    Ok((tx, work.ticket))
}

async fn a_finished_ticket_takes_no_entry(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    for outcome in finals() {
        let (mut tx, ticket) = written(&bed, &lease, outcome).await?;
        for late in finals().into_iter().chain([running(&bed)]) {
            let journal = Journal { wake: 0, basis: None, seen: 2, entries: vec![stage("late")], outcome: late };
            assert!(matches!(tx.write_journal(ticket, &journal).await, Err(StorageError::Stale)));
        }
        assert_eq!(tx.ticket_events(ticket, 0, 9).await?.len(), 2);
        tx.commit().await?;
    }
    Ok(())
}

async fn a_step_stands_once(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let journal = |seen| Journal {
        wake: 0,
        basis: None,
        seen,
        entries: vec![JournalEntry::step("fetch", json!(1))],
        outcome: running(&bed),
    };
    let mut tx = bed.store.fenced(&lease).await?;
    tx.write_journal(work.ticket, &journal(1)).await?;
    tx.commit().await?;
    let mut tx = bed.store.fenced(&lease).await?;
    assert!(matches!(tx.write_journal(work.ticket, &journal(2)).await, Err(StorageError::Database(_))));
    drop(tx);
    let ticket = bed.store.tenant_read(bed.a.org).await?.ticket(work.ticket).await?.expect("there");
    assert_eq!(ticket.seq, 2, "the refused entry took its number back");
    Ok(())
}

async fn a_ticket_is_in_hand_only_while_it_runs(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let until = bed.store.now();
    for (outcome, node) in [(Outcome::Running(until), Some(lease.node.as_str())), (Outcome::Waiting(until), None)] {
        let (mut tx, id) = written(&bed, &lease, outcome).await?;
        let ticket = tx.ticket(id).await?.expect("there");
        assert_eq!(ticket.in_hand.as_deref(), node);
        assert_ne!(ticket.state, TicketState::Accepted);
    }
    Ok(())
}

async fn the_journals_of_tickets_that_are_over_for_long_are_forgotten_and_nothing_else(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let (tx, over) = written(&bed, &lease, Outcome::Completed(json!({ "kept": true }))).await?;
    tx.commit().await?;
    let (tx, open) = written(&bed, &lease, Outcome::Waiting(bed.store.now())).await?;
    tx.commit().await?;
    let entries =
        async |ticket| anyhow::Ok(bed.store.tenant_read(bed.a.org).await?.ticket_events(ticket, 0, 9).await?.len());
    let forget = async |before, limit| {
        let mut tx = bed.store.system().await?;
        let forgotten = tx.forget_journals(before, limit).await?;
        tx.commit().await?;
        anyhow::Ok(forgotten)
    };
    let (all, later) = (entries(over).await?, bed.store.now() + TimeDelta::days(1));
    assert_eq!(forget(later - TimeDelta::days(2), 99).await?, 0, "it was over yesterday at the earliest");
    assert_eq!(forget(later, 1).await?, 1, "as many as are asked for");
    assert_eq!(forget(later, 99).await?, u64::try_from(all)? - 1);
    assert_eq!((entries(over).await?, entries(open).await? > 0), (0, true));
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert_eq!(tx.ticket(over).await?.expect("still there").result, Some(json!({ "kept": true })));
    Ok(())
}

async fn an_entry_keeps_what_its_decision_looked_at(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let basis = json!({ "größe": [1, null], "at": "2026-01-01T00:00:00Z" });
    let entries = vec![stage("boss_ringing"), JournalEntry::step("fetch", json!(1))];
    let mut tx = bed.store.fenced(&lease).await?;
    let decided = Journal { wake: 0, seen: 1, basis: Some(basis.clone()), entries, outcome: running(&bed) };
    tx.write_journal(work.ticket, &decided).await?;
    tx.commit().await?;
    let events = bed.store.tenant_read(bed.a.org).await?.ticket_events(work.ticket, 0, 9).await?;
    let kept: Vec<_> = events.into_iter().map(|event| event.basis).collect();
    assert_eq!(kept, [None, Some(basis), None], "once for all entries of a commit");
    Ok(())
}
