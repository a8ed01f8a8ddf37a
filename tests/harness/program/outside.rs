//! `apex sandbox` as a process of its own.

use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::builder;
use crate::leftovers::{self, Stop};
use crate::wait;

/// What it prints when it is up, followed by its URL.
const READY: &str = "apex sandbox ready at ";

/// A running `apex sandbox`. Dropping it kills it.
#[derive(Debug)]
pub struct Outside {
    child: Child,
    folder: TempDir,
    url: String,
}

impl Outside {
    /// Starts it on a free port, with people who act at once.
    ///
    /// # Panics
    ///
    /// When it does not come up within [`wait::PATIENCE`].
    pub async fn start() -> Self {
        let folder = leftovers::folder("outside");
        let file = |name: &str| std::fs::File::create(folder.path().join(name)).expect("own folder");
        let mut command = builder::bare(folder.path());
        let address = format!("127.0.0.1:{}", leftovers::free_port());
        command.args(["sandbox", "--bind", &address, "--pace", "instant"]);
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        leftovers::adopt(child.id(), Stop::Kill);
        let mut outside = Self { child, folder, url: String::new() };
        let ready = wait::until_within(wait::PATIENCE, async || {
            // The last line it prints: everything before is there, too.
            let printed = outside.stdout();
            let url = printed.lines().find_map(|line| line.strip_prefix(READY))?.to_owned();
            printed.contains("/sandbox/ledger\n").then_some(url)
        })
        .await;
        outside.url = ready.unwrap_or_else(|| panic!("the sandbox does not say it is ready:\n{}", outside.stdout()));
        outside
    }

    /// Where it is reached.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The settings that it tells to set for a server, as names and values.
    pub fn settings(&self) -> Vec<(String, String)> {
        let printed = self.stdout();
        let lines = printed.lines().filter_map(|line| line.trim().split_once('='));
        let settings = lines.filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Asks it to stop and waits until it has; whether that was in order.
    ///
    /// # Panics
    ///
    /// When it does not stop within [`wait::PATIENCE`].
    pub async fn stop(mut self) -> bool {
        super::signal(&[self.child.id()], "TERM");
        let ended = wait::until(async || self.child.try_wait().expect("our own child"), "the sandbox's end").await;
        leftovers::release(self.child.id());
        ended.success()
    }

    fn stdout(&self) -> String {
        super::read(&self.folder.path().join("stdout"))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            leftovers::release(self.child.id());
        }
    }
}
