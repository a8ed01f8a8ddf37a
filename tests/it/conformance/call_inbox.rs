//! The inbox of calls: a callback is one row, whoever sends it how often, and is read until it is marked.

use anyhow::Result;
use apex_storage::model::call::{End, Leg, Progress, Recording, Report};
use apex_storage::model::{EffectId, ProjectId, TicketId};
use apex_storage::{NewInboxRow, StorageError};
use chrono::TimeDelta;

use super::tenants::{ACCOUNT, Tenant, TwoTenants};

conformance! {
    the_same_callback_twice_is_one_row,
    every_report_comes_back_as_it_was_told,
    a_callback_is_unread_until_it_is_marked,
    a_callback_of_an_unknown_effect_is_stored_too,
    a_callback_needs_a_project_of_its_own_tenant,
    another_tenant_neither_sees_nor_marks_a_callback,
}

fn callback<'a>(tenant: Tenant, ticket: TicketId, digest: &'a [u8], report: &'a Report) -> NewInboxRow<'a> {
    NewInboxRow {
        project_id: tenant.project,
        ticket_id: ticket,
        effect_id: EffectId::new(),
        account: ACCOUNT,
        sid: "CA1",
        kind: "status",
        digest,
        report,
    }
}

async fn the_same_callback_twice_is_one_row(bed: TwoTenants) -> Result<()> {
    let work = bed.work(bed.a).await?;
    let first = callback(bed.a, work.ticket, &[1; 32], &Report::Whisper);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.receive(&first).await?);
    assert!(!tx.receive(&first).await?);
    tx.commit().await?;
    bed.pass(1);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(!tx.receive(&first).await?, "also much later");
    assert!(tx.receive(&NewInboxRow { digest: &[2; 32], ..first.clone() }).await?, "another body");
    assert!(tx.receive(&NewInboxRow { kind: "connect", ..first.clone() }).await?, "another kind");
    assert!(tx.receive(&NewInboxRow { sid: "CA2", ..first.clone() }).await?, "another call");
    let reports = tx.reports(work.ticket).await?;
    assert_eq!(reports.len(), 4);
    let newest = &reports[0];
    assert_eq!((newest.effect_id, newest.sid.as_str(), newest.kind.as_str()), (first.effect_id, "CA1", "status"));
    assert_eq!(newest.received_at + TimeDelta::seconds(1), bed.store.now(), "in the order they came");
    Ok(())
}

async fn every_report_comes_back_as_it_was_told(bed: TwoTenants) -> Result<()> {
    let work = bed.work(bed.a).await?;
    let over = |end| Report::Leg { leg: Leg::Customer, progress: Progress::Over(end) };
    let told = [
        Report::Leg { leg: Leg::Boss, progress: Progress::Unheard },
        Report::Leg { leg: Leg::Boss, progress: Progress::Dialing },
        Report::Leg { leg: Leg::Boss, progress: Progress::Ringing },
        Report::Leg { leg: Leg::Boss, progress: Progress::Answered },
        over(End::Cancelled),
        over(End::Failed),
        over(End::NoAnswer),
        over(End::Busy),
        over(End::Completed { seconds: u32::MAX }),
        Report::Whisper,
        Report::Press { accepted: true },
        Report::Press { accepted: false },
        Report::Recording(Recording::Unheard),
        Report::Recording(Recording::InProgress),
        Report::Recording(Recording::Absent),
        Report::Recording(Recording::Ready { sid: "RE1".to_owned(), seconds: 61 }),
        Report::Message { failed: true },
        Report::Other,
    ];
    let mut tx = bed.store.tenant(bed.a.org).await?;
    for (digest, report) in (0_u8..).zip(&told) {
        assert!(tx.receive(&callback(bed.a, work.ticket, &[digest], report)).await?);
    }
    let read: Vec<_> = tx.reports(work.ticket).await?.into_iter().map(|row| row.report).collect();
    assert_eq!(read, told);
    Ok(())
}

async fn a_callback_is_unread_until_it_is_marked(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let received_at = bed.store.now();
    let mut tx = bed.store.tenant(bed.a.org).await?;
    tx.receive(&callback(bed.a, work.ticket, &[1], &Report::Whisper)).await?;
    tx.receive(&callback(bed.a, work.ticket, &[2], &Report::Other)).await?;
    tx.commit().await?;

    let mut tx = bed.store.system_read().await?;
    assert!(tx.unread_callbacks(received_at - TimeDelta::microseconds(1), 9).await?.is_empty(), "too young");
    let unread = tx.unread_callbacks(received_at, 9).await?;
    assert_eq!(unread.len(), 1, "a ticket is nudged once: {unread:?}");
    assert_eq!((unread[0].id, unread[0].org_id, unread[0].project_id), (work.ticket, bed.a.org, bed.a.project));
    assert_eq!(unread[0].actor, "call");
    assert!(tx.unread_callbacks(received_at, 0).await?.is_empty());
    drop(tx);

    bed.pass(1);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    tx.receive(&callback(bed.a, work.ticket, &[3], &Report::Other)).await?;
    tx.commit().await?;
    let mut tx = bed.store.fenced(&lease).await?;
    tx.mark_handled(work.ticket, received_at).await?;
    assert_eq!(tx.reports(work.ticket).await?.len(), 3, "they stay as history");
    tx.commit().await?;
    let mut tx = bed.store.system_read().await?;
    assert!(tx.unread_callbacks(received_at, 9).await?.is_empty());
    assert_eq!(tx.unread_callbacks(bed.store.now(), 9).await?.len(), 1, "the one that came meanwhile");
    Ok(())
}

async fn a_callback_of_an_unknown_effect_is_stored_too(bed: TwoTenants) -> Result<()> {
    let unknown = TicketId::new();
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.receive(&callback(bed.a, unknown, &[1], &Report::Other)).await?);
    tx.commit().await?;
    let mut tx = bed.store.system_read().await?;
    let unread = tx.unread_callbacks(bed.store.now(), 9).await?;
    assert_eq!(unread.iter().map(|due| (due.id, due.actor.as_str())).collect::<Vec<_>>(), [(unknown, "call")]);
    Ok(())
}

async fn a_callback_needs_a_project_of_its_own_tenant(bed: TwoTenants) -> Result<()> {
    let (work, before) = (bed.work(bed.b).await?, bed.rows_of_a().await?);
    for project_id in [bed.a.project, ProjectId::new()] {
        let mut tx = bed.store.tenant(bed.b.org).await?;
        let row = NewInboxRow { project_id, ..callback(bed.b, work.ticket, &[1], &Report::Other) };
        let refused = tx.receive(&row).await;
        assert!(
            matches!(refused, Err(StorageError::NoProject { project, .. }) if project == project_id),
            "{refused:?}"
        );
    }
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn another_tenant_neither_sees_nor_marks_a_callback(bed: TwoTenants) -> Result<()> {
    let (work, lease_b) = (bed.work(bed.a).await?, bed.lease(bed.b).await?);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    tx.receive(&callback(bed.a, work.ticket, &[1], &Report::Whisper)).await?;
    tx.commit().await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.fenced(&lease_b).await?;
    assert!(tx.reports(work.ticket).await?.is_empty());
    tx.mark_handled(work.ticket, bed.store.now()).await?;
    assert!(tx.receive(&callback(bed.b, work.ticket, &[9], &Report::Other)).await?, "stored as B's own");
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    assert_eq!(bed.store.tenant_read(bed.a.org).await?.reports(work.ticket).await?.len(), 1);
    Ok(())
}
