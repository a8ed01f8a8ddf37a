//! Nothing outlives a test process, however it ends.
//!
//! One small shell, the keeper, holds the reading end of a pipe. When this process is gone, killed or panicked, the pipe
//! closes: the keeper stops every server it was told of and removes the folder all of them live in.

use std::fs::Permissions;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use tempfile::TempDir;

/// Reads `adopt PID SIGNAL`, `release PID`, `starting` and `started` lines; at the end of its input it cleans up. A Postgres
/// that was just starting has no number yet: it is given time and then found by its file.
const KEEPER: &str = r#"
trap '' INT TERM HUP
adopted='' starting=0
alive() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
while read -r verb pid signal; do
  case $verb in
    starting) starting=$((starting + 1)); continue ;;
    started) starting=$((starting - 1)); continue ;;
  esac
  kept=''
  for entry in $adopted; do [ "${entry%%:*}" = "$pid" ] || kept="$kept $entry"; done
  adopted=$kept
  [ "$verb" = adopt ] && adopted="$adopted $pid:$signal"
done
if [ $starting -gt 0 ]; then
  sleep 4
  for file in "$1"/*/data/postmaster.pid; do
    [ -f "$file" ] && adopted="$adopted $(head -n 1 "$file"):QUIT"
  done
fi
for entry in $adopted; do kill -s "${entry##*:}" "${entry%%:*}" 2>/dev/null; done
for entry in $adopted; do
  tries=0
  while alive "${entry%%:*}" && [ $tries -lt 50 ]; do tries=$((tries + 1)); sleep 0.1; done
  alive "${entry%%:*}" && kill -s KILL "${entry%%:*}" 2>/dev/null
done
rm -rf "$1"
"#;

/// How a server is told to stop when its test process is gone.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// At once, without a farewell.
    Kill,
    /// Postgres: drop every connection and leave.
    Quit,
}

impl Stop {
    const fn signal(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
        }
    }
}

/// The keeper of one test process and the folder everything of it lives in.
struct Keeper {
    words: Mutex<ChildStdin>,
    root: PathBuf,
}

impl Keeper {
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Keeper> = OnceLock::new();
        SHARED.get_or_init(|| {
            let root = tempfile::Builder::new().prefix("apex-test-").tempdir().expect("a temporary folder").keep();
            // Postgres runs as another user when the tests run as root: it must be able to walk through.
            std::fs::set_permissions(&root, Permissions::from_mode(0o711)).expect("own folder");
            Self::start(root).0
        })
    }

    fn start(root: PathBuf) -> (Self, Child) {
        let mut child = Command::new("sh")
            .args(["-c", KEEPER, "apex-test-keeper"])
            .arg(&root)
            .current_dir("/")
            .process_group(0) // Ctrl-C in the terminal must not reach it
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let words = child.stdin.take().expect("stdin is piped");
        (Self { words: Mutex::new(words), root }, child)
    }

    fn say(&self, line: &str) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.write_all(line.as_bytes()).expect("the keeper lives as long as this process");
    }
}

/// A fresh folder for one server or program; removed when dropped, and at the latest with this process.
///
/// # Panics
///
/// When the disk is full.
pub fn folder(kind: &str) -> TempDir {
    tempfile::Builder::new().prefix(&format!("{kind}-")).tempdir_in(&Keeper::shared().root).expect("a temporary folder")
}

/// Puts a process under the keeper's eye.
pub fn adopt(pid: u32, stop: Stop) {
    Keeper::shared().say(&format!("adopt {pid} {}\n", stop.signal()));
}

/// The process has ended and was waited for: its number may be given to another.
pub fn release(pid: u32) {
    Keeper::shared().say(&format!("release {pid}\n"));
}

/// Runs the start of a server that has no process number until it is up and calls [`adopt`] itself.
pub(crate) fn starting<T>(start: impl FnOnce() -> T) -> T {
    Keeper::shared().say("starting\n");
    let started = start();
    Keeper::shared().say("started\n");
    started
}

/// A port of the loopback address that nobody listens on now. It lies below the range the kernel takes outgoing ports
/// from, so that a program that is down for a moment finds its port free again.
///
/// # Panics
///
/// When the whole range is taken.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Each process begins elsewhere: two of them seldom look at the same port at the same instant.
    let start = std::process::id().wrapping_mul(97);
    (0..COUNT)
        .map(|_| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port between 20000 and 32000")
}

/// True when this process runs as root, told by who owns what it creates.
pub(crate) fn runs_as_root(own: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(own).is_ok_and(|found| found.uid() == 0)
}

/// A setting of the test run itself.
#[expect(clippy::disallowed_methods, reason = "the harness has settings of its own; this is their one home")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn when_a_test_process_is_gone_its_servers_and_folder_go_too() {
        let root = tempfile::tempdir().unwrap().keep();
        let (keeper, mut shell) = Keeper::start(root.clone());
        let mut adopted = Command::new("sleep").arg("600").spawn().unwrap();
        let mut released = Command::new("sleep").arg("600").spawn().unwrap();
        keeper.say(&format!("adopt {} KILL\nadopt {} KILL\n", adopted.id(), released.id()));
        keeper.say(&format!("release {}\n", released.id()));

        drop(keeper); // what the end of the process does to the pipe

        assert!(shell.wait().unwrap().success());
        let gone = crate::wait::blocking(Duration::from_secs(10), || adopted.try_wait().unwrap());
        assert!(gone.is_some(), "the adopted process was stopped");
        assert_eq!(released.try_wait().unwrap(), None, "a released one is not touched");
        assert!(!root.exists());
        released.kill().unwrap();
        released.wait().unwrap();
    }

    #[test]
    fn a_folder_goes_with_its_owner() {
        let folder = folder("trial");
        let path = folder.path().to_path_buf();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
