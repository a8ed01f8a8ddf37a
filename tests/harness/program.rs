//! The real `apex` binary as a child process.

mod binary;
mod builder;
mod command;
mod outside;

use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub use builder::Builder;
pub(crate) use command::signal;
pub use command::{Ended, command};
pub use outside::Outside;
use tempfile::TempDir;

use crate::leftovers::{self, Stop};
use crate::{Client, Twilio, wait};

/// Our own number at the telephone provider, from which bosses and customers are called.
pub const OUR_NUMBER: &str = "+6498889002";
/// What the program prints when it serves, followed by `api=URL admin=URL`.
const READY: &str = "apex ready ";

/// A running, killed or restarted program with its data directory. Dropping it kills it.
#[derive(Debug)]
pub struct Apex {
    builder: Builder,
    folder: TempDir,
    child: Option<Child>,
    api: String,
    admin: String,
}

impl Apex {
    /// Starts describing a program: `SQLite`, memory, no sandbox.
    pub fn builder() -> Builder {
        Builder::new()
    }

    async fn launch(builder: Builder, folder: TempDir) -> Self {
        let (api, admin) = (builder.api_url(), String::new());
        let mut apex = Self { builder, folder, child: None, api, admin };
        apex.spawn().await;
        apex
    }

    /// The base URL of the API; the same after a restart.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// The base URL of `/live`, `/ready` and `/metrics`; another one after a restart.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Its data directory, kept over restarts.
    pub fn data_dir(&self) -> PathBuf {
        builder::data_dir(self.folder.path())
    }

    /// The database's URL; `None` on `SQLite`, whose file lies in the data directory.
    pub fn database_url(&self) -> Option<&str> {
        self.builder.database_url()
    }

    /// Everything all its runs printed to standard output.
    pub fn stdout(&self) -> String {
        read(&self.stdout_path())
    }

    /// Everything all its runs logged.
    pub fn stderr(&self) -> String {
        read(&self.stderr_path())
    }

    /// A client without a login.
    pub fn client(&self) -> Client {
        Client::new(&self.api, &self.stderr_path())
    }

    /// A client of a freshly registered user with an organisation of its own.
    ///
    /// # Panics
    ///
    /// When the registration is refused.
    pub async fn owner(&self, email: &str) -> Client {
        let client = self.client();
        let session = client.register(email).await;
        client.signed_in(&session)
    }

    /// A hand that posts callbacks as the telephone provider does, signed with the token this program knows.
    pub fn twilio(&self) -> Twilio {
        Twilio::new(&self.api, self.builder.account_sid(), self.builder.auth_token())
    }

    /// The process number of the running program.
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the program is running").id()
    }

    /// False after its end, expected or not.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    /// Kills it without a farewell, like a power cut.
    ///
    /// # Panics
    ///
    /// When the process cannot be waited for.
    pub fn kill_9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child");
            child.wait().expect("our own child");
            leftovers::release(child.id());
        }
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    ///
    /// # Panics
    ///
    /// When it is still there after [`wait::PATIENCE`].
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_exit().await
    }

    /// Sends a signal by name: `TERM`, `STOP`, `CONT`.
    ///
    /// # Panics
    ///
    /// When it is not running.
    pub fn signal(&self, name: &str) {
        signal(&[self.pid()], name);
    }

    /// Waits until it ends by itself, as after a fault that exits.
    ///
    /// # Panics
    ///
    /// When it still runs after [`wait::PATIENCE`]; the message holds its log.
    pub async fn wait_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the program is running");
        let ended = wait::until_within(wait::PATIENCE, async || child.try_wait().expect("our own child")).await;
        let Some(status) = ended else {
            self.child = Some(child); // dropped, and so killed, by the panic
            panic!("the program does not end:\n{}", self.stderr());
        };
        leftovers::release(child.id());
        status
    }

    /// Starts it again on the same data, database and port, without the faults of the run before. A running one is
    /// killed first.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn restart(&mut self) {
        self.builder.forget_faults();
        self.spawn().await;
    }

    /// Like [`Self::restart`], with settings changed for this and the following runs.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn restart_with(&mut self, settings: &[(&str, &str)]) {
        self.builder.forget_faults();
        for (key, value) in settings {
            self.builder.set(key, value);
        }
        self.spawn().await;
    }

    /// Like [`Self::restart`] with faults planted, which may strike before the program is ready: then it has ended, with
    /// this status. Else the time until it was ready.
    ///
    /// # Errors
    ///
    /// The status that it ended with.
    ///
    /// # Panics
    ///
    /// When it is silent.
    pub async fn revive(&mut self, faults: &[String]) -> Result<Duration, ExitStatus> {
        self.builder.forget_faults();
        for fault in faults {
            self.builder.plant(fault);
        }
        let began = Instant::now();
        self.try_spawn().await.map(|()| began.elapsed())
    }

    /// Like [`Self::restart`], without an argument that it was started with.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn restart_without(&mut self, argument: &str) {
        self.builder.forget_faults();
        self.builder.forget_argument(argument);
        self.spawn().await;
    }

    /// Runs another command of `apex` on this program's settings and data, whether it runs or not.
    ///
    /// # Panics
    ///
    /// When the command does not end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        let folder = leftovers::folder("command");
        command::ended(self.builder.beside(self.folder.path(), arguments), folder.path()).await
    }

    async fn spawn(&mut self) {
        if let Err(status) = self.try_spawn().await {
            panic!("the program ended at its start: {status}\n{}{}", self.stdout(), self.stderr());
        }
    }

    async fn try_spawn(&mut self) -> Result<(), ExitStatus> {
        self.kill_9();
        let seen = self.stdout().len();
        let mut command = self.builder.command(self.folder.path());
        command.stdin(Stdio::null());
        command.stdout(append(&self.stdout_path())).stderr(append(&self.stderr_path()));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        leftovers::adopt(child.id(), Stop::Kill);
        let answer = wait::until_within(wait::PATIENCE, async || {
            if let Some(ready) = self.stdout().get(seen..).and_then(ready) {
                return Some(Ok(ready));
            }
            child.try_wait().expect("our own child").map(Err)
        })
        .await;
        self.child = Some(child);
        match answer {
            Some(Ok((api, admin))) => (self.api, self.admin) = (api, admin),
            Some(Err(status)) => {
                self.kill_9();
                return Err(status);
            }
            None => panic!("the program does not say it is ready:\n{}{}", self.stdout(), self.stderr()),
        }
        Ok(())
    }

    fn stdout_path(&self) -> PathBuf {
        self.folder.path().join("stdout")
    }

    fn stderr_path(&self) -> PathBuf {
        self.folder.path().join("stderr")
    }
}

impl Drop for Apex {
    fn drop(&mut self) {
        self.kill_9();
    }
}

/// The two URLs of the ready line; `None` until the whole line is there.
fn ready(printed: &str) -> Option<(String, String)> {
    let (lines, _unfinished) = printed.rsplit_once('\n')?;
    let words = lines.lines().find_map(|line| line.strip_prefix(READY))?;
    let value = |key: &str| words.split_whitespace().find_map(|word| word.strip_prefix(key)).map(str::to_owned);
    Some((value("api=")?, value("admin=")?))
}

fn append(path: &Path) -> std::fs::File {
    std::fs::OpenOptions::new().create(true).append(true).open(path).expect("own folder")
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_is_read_only_when_it_is_whole() {
        let line = "apex ready api=http://127.0.0.1:8000 admin=http://127.0.0.1:9000";
        assert_eq!(ready(line), None);
        assert_eq!(ready("hello\n"), None);
        let whole = format!("hello\n{line}\nmore");
        assert_eq!(ready(&whole), Some(("http://127.0.0.1:8000".into(), "http://127.0.0.1:9000".into())));
    }
}
