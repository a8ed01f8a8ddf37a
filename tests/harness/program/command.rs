//! Commands that run to their end: `demo`, `openapi`, `migrate`, `doctor`, and a `serve` that refuses to start.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::builder;
use crate::leftovers::{self, Stop};
use crate::wait;

/// How a command ended and what it printed.
#[derive(Debug)]
pub struct Ended {
    /// Success, or the code that says why not.
    pub status: ExitStatus,
    /// Its answer.
    pub stdout: String,
    /// Its log and complaints.
    pub stderr: String,
}

/// Runs `apex` with these arguments in an empty folder and an empty environment but for `settings`; it is killed when it
/// takes longer than twice [`wait::PATIENCE`].
///
/// # Panics
///
/// When it does not end.
pub async fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Ended {
    let folder = leftovers::folder("command");
    let mut command = builder::bare(folder.path());
    command.args(arguments).envs(settings.iter().copied());
    ended(command, folder.path()).await
}

/// Runs a command to its end; what it prints is kept in the folder meanwhile.
pub(super) async fn ended(mut command: Command, folder: &Path) -> Ended {
    let file = |name: &str| std::fs::File::create(folder.join(name)).expect("own folder");
    command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    leftovers::adopt(child.id(), Stop::Kill);
    let ended = wait::until_within(wait::PATIENCE * 2, async || child.try_wait().expect("our own child")).await;
    if ended.is_none() {
        child.kill().expect("our own child");
        child.wait().expect("our own child");
    }
    leftovers::release(child.id());
    let [stdout, stderr] = ["stdout", "stderr"].map(|name| super::read(&folder.join(name)));
    let Some(status) = ended else { panic!("{command:?} does not end:\n{stdout}{stderr}") };
    Ended { status, stdout, stderr }
}

/// Sends a signal to some processes through the shell, whose `kill` is built in: slim systems have no program of that name.
///
/// # Panics
///
/// When one of them is not there.
pub(crate) fn signal(pids: &[u32], name: &str) {
    let pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
    let status = Command::new("sh").args(["-c", "kill -s \"$@\"", "sh", name]).args(&pids).status();
    assert!(status.is_ok_and(|status| status.success()), "signal {name} to {pids:?}");
}
