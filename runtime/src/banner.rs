//! What the program says about itself when it starts.

/// The lines that tell a person which outside they are on.
pub(crate) fn mode(sandbox: bool) -> &'static str {
    if sandbox {
        "SANDBOX: no telephone account is set, so calls, messages and the language model are played. Nobody is really rung."
    } else {
        "LIVE: calls and messages go to real telephones."
    }
}

/// The line that tells a person that nothing leaves.
pub(crate) const HELD: &str =
    "HELD: no call and no message leaves until it is released. `apex effects list` shows what waits.";
