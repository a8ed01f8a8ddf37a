//! The end of a test: an orderly stop, then the judge speaks.

use apex_sandbox::Sandbox;

use crate::Apex;

/// Stops the program in order, then lets the sandbox's ledger judge everything that reached the outside: violations of
/// the protocol, a boss called twice for a key, a second customer leg, a message sent twice.
///
/// # Panics
///
/// When the program does not stop with success, or the ledger holds anything against it.
pub async fn finish(sandbox: Sandbox, mut apex: Apex) {
    if apex.is_running() {
        let status = apex.terminate().await;
        assert!(status.success(), "the program must stop in order: {status}\n{}", apex.stderr());
    }
    let held_against = sandbox.ledger().judge();
    assert!(held_against.is_empty(), "the outside complains:\n{}\n{}", held_against.join("\n"), apex.stderr());
    sandbox.stop().await;
}
