//! The end of a test: an orderly stop, then the judge speaks.

use apex_sandbox::Sandbox;

use crate::Apex;

/// Stops the program in order, then lets the sandbox's ledger judge everything that reached the outside: violations of
/// the protocol, a boss called twice for a key, a second customer leg, a message sent twice.
///
/// # Panics
///
/// When the program does not stop with success, or the ledger holds anything against it.
pub async fn finish(sandbox: Sandbox, apex: Apex) {
    judged(sandbox, apex, |_| true).await;
}

/// The same for a program that was frozen: all but the slowness of its scripts is held against it.
///
/// # Panics
///
/// When the program does not stop with success, or the ledger holds anything else against it.
pub async fn finish_after_a_freeze(sandbox: Sandbox, apex: Apex) {
    judged(sandbox, apex, |complaint| !complaint.contains("ms to give a script")).await;
}

async fn judged(sandbox: Sandbox, mut apex: Apex, counts: impl Fn(&str) -> bool) {
    if apex.is_running() {
        let status = apex.terminate().await;
        assert!(status.success(), "the program must stop in order: {status}\n{}", apex.stderr());
    }
    let complaints = sandbox.ledger().judge();
    let held_against: Vec<_> = complaints.into_iter().filter(|complaint| counts(complaint)).collect();
    assert!(held_against.is_empty(), "the outside complains:\n{}\n{}", held_against.join("\n"), apex.stderr());
    sandbox.stop().await;
}
