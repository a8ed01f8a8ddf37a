//! A private Postgres on a free port, shared by the tests of one process, or one of a test's own.
//!
//! Its databases belong to a login that is no superuser and inherits nothing, because that is what row-level security
//! is promised for.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Url;
use tempfile::TempDir;

use crate::leftovers::{self, Stop};
use crate::program::signal;
use crate::wait;

/// The login that owns every test database.
pub const LOGIN: &str = "apex_login";
const PASSWORD: &str = "apex";
/// Speed over durability: a killed program loses nothing that the server has taken.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = '64MB'
fsync = off
full_page_writes = off
synchronous_commit = off
jit = off
";

/// What a server of a test's own has on top: what it has confirmed survives any stop.
const SAFE: &str = "synchronous_commit = on\n";

/// A running server and the right to create databases on it.
#[derive(Debug)]
pub struct Postgres {
    admin: Url,
    psql: PathBuf,
    own: Option<Own>,
}

/// A server that this process started.
#[derive(Debug)]
struct Own {
    folder: TempDir,
    bin: PathBuf,
    as_root: bool,
    port: u16,
    pid: AtomicU32,
    /// Whether it goes with its handle; the shared one goes with the process.
    goes_with_handle: bool,
}

impl Postgres {
    /// The server of this test process, started on first use. `APEX_TEST_POSTGRES_ADMIN_URL` names a running one instead;
    /// its user must be a superuser.
    ///
    /// # Panics
    ///
    /// When no Postgres is installed or it does not start: a test that needs it must not pass without it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let server = match leftovers::setting("APEX_TEST_POSTGRES_ADMIN_URL") {
                Some(url) => Self::running(&url),
                None => leftovers::starting(|| Self::start(SETTINGS, false)),
            };
            server.create_login();
            server
        })
    }

    /// A server of one's own, for a test that stops or freezes it. It loses nothing when it is stopped, however.
    ///
    /// # Panics
    ///
    /// When no Postgres is installed or it does not start.
    pub fn private() -> Self {
        let server = leftovers::starting(|| Self::start(&format!("{SETTINGS}{SAFE}"), true));
        server.create_login();
        server
    }

    /// Stops it at once, as a crash does: connections break and new ones are refused.
    ///
    /// # Panics
    ///
    /// When it is not a test's own, or does not stop.
    pub fn stop(&self) {
        let own = self.own();
        let mut stop = server_command(own.as_root, &own.bin.join("pg_ctl"));
        must(stop.args(["-D", "data", "-m", "immediate", "-w", "stop"]), own.folder.path());
        leftovers::release(own.pid());
    }

    /// Starts it again on the same port, with all it had.
    ///
    /// # Panics
    ///
    /// When it is not a test's own, or does not start.
    pub fn start_again(&self) {
        let own = self.own();
        leftovers::starting(|| {
            let started = start_on(own.port, own.as_root, &own.bin, own.folder.path());
            assert!(started, "Postgres does not start again: {}", log(own.folder.path()));
            own.pid.store(adopt(own.folder.path()), Ordering::Relaxed);
        });
    }

    /// Freezes the server and everybody who works for it: connections stay open and nothing answers.
    ///
    /// # Panics
    ///
    /// When it is not a test's own.
    pub fn freeze(&self) {
        let pid = self.own().pid();
        signal(&[pid], "STOP"); // first, so that there are no new ones
        stop_all(&children(pid), "STOP");
    }

    /// Goes on after [`Self::freeze`].
    ///
    /// # Panics
    ///
    /// When it is not a test's own.
    pub fn thaw(&self) {
        let pid = self.own().pid();
        stop_all(&children(pid), "CONT");
        signal(&[pid], "CONT");
    }

    fn own(&self) -> &Own {
        self.own.as_ref().filter(|own| own.goes_with_handle).expect("a server of one's own")
    }

    /// Creates an empty database owned by the login and returns its URL.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub fn database(&self) -> String {
        let name = format!("apex_{}", uuid::Uuid::new_v4().simple());
        self.query(self.admin.as_str(), &format!("create database {name} owner {LOGIN}"));
        let mut url = self.admin.clone();
        url.set_path(&name);
        url.set_username(LOGIN).expect("a server URL takes a user");
        url.set_password(Some(PASSWORD)).expect("a server URL takes a password");
        url.into()
    }

    /// The superuser's URL of a database made by [`Self::database`], to look behind row-level security.
    ///
    /// # Panics
    ///
    /// When `database` is no URL.
    pub fn superuser(&self, database: &str) -> String {
        let mut url = self.admin.clone();
        url.set_path(Url::parse(database).expect("a database URL").path());
        url.into()
    }

    /// Runs SQL text at `url` and returns what it prints: rows by line, columns by `|`.
    ///
    /// # Panics
    ///
    /// When a statement fails.
    pub fn query(&self, url: &str, sql: &str) -> String {
        let mut psql = Command::new(&self.psql)
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql starts");
        psql.stdin.take().expect("stdin is piped").write_all(sql.as_bytes()).expect("psql reads");
        let output = psql.wait_with_output().expect("psql ends");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn running(admin: &str) -> Self {
        let admin = Url::parse(admin).expect("APEX_TEST_POSTGRES_ADMIN_URL is a URL");
        let psql = installed().map_or_else(|| "psql".into(), |bin| bin.join("psql"));
        Self { admin, psql, own: None }
    }

    fn start(settings: &str, goes_with_handle: bool) -> Self {
        let bin = installed().expect("Postgres is not installed (no /usr/lib/postgresql/*/bin): tests/run installs it");
        let folder = leftovers::folder("postgres");
        let data = folder.path().join("data");
        let as_root = leftovers::runs_as_root(folder.path());
        if as_root {
            must(Command::new("chown").arg("postgres").arg(folder.path()), folder.path());
        }
        let init = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
        must(server_command(as_root, &bin.join("initdb")).args(init), folder.path());
        let mut conf =
            std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).expect("initdb wrote it");
        conf.write_all(settings.as_bytes()).expect("a writable folder");
        let free = || Some(leftovers::free_port()).filter(|port| start_on(*port, as_root, &bin, folder.path()));
        let port = (0..5).find_map(|_| free()); // somebody may take it in between
        let port = port.unwrap_or_else(|| panic!("Postgres does not start: {}", log(folder.path())));
        let pid = AtomicU32::new(adopt(folder.path()));
        let admin = Url::parse(&format!("postgres://postgres@127.0.0.1:{port}/postgres")).expect("a valid URL");
        let psql = bin.join("psql");
        Self { admin, psql, own: Some(Own { folder, bin, as_root, port, pid, goes_with_handle }) }
    }

    /// How many connections there are to a database, the asking one not counted.
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub fn connections(&self, database: &str) -> usize {
        let count = self.query(
            &self.superuser(database),
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
        );
        count.parse().unwrap_or_else(|error| panic!("{count:?}: {error}"))
    }

    fn create_login(&self) {
        let create = format!(
            "do $$ begin create role {LOGIN} login password '{PASSWORD}' nosuperuser nobypassrls noinherit createrole;
             exception when duplicate_object or unique_violation then null; end $$"
        );
        self.query(self.admin.as_str(), &create);
    }
}

impl Own {
    fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    fn is_running(&self) -> bool {
        self.folder.path().join("data/postmaster.pid").exists()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.goes_with_handle && self.is_running() {
            let pid = self.pid();
            stop_all(&children(pid), "CONT"); // frozen ones do not hear that they shall leave
            stop_all(&[pid], "CONT");
            stop_all(&[pid], "QUIT");
            let _ = wait::blocking(wait::PATIENCE, || !self.is_running()); // else the keeper ends it
            leftovers::release(pid);
        }
    }
}

/// The programs of the newest installed server.
fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    versions
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(|path| number(path))
        .map(|path| path.join("bin"))
}

/// Postgres refuses to run as root: then its own user runs it.
fn server_command(as_root: bool, program: &Path) -> Command {
    if !as_root {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

/// False when somebody took the port in between.
fn start_on(port: u16, as_root: bool, bin: &Path, folder: &Path) -> bool {
    let mut start = server_command(as_root, &bin.join("pg_ctl"));
    start.args(["-D", "data", "-l", "log", "-w", "-t", "30", "-o", &format!("-p {port}"), "start"]);
    // Not piped: the server inherits them and would keep a pipe open for ever.
    start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder);
    start.status().is_ok_and(|status| status.success())
}

/// Puts a running server under the keeper's eye. Its process number.
fn adopt(folder: &Path) -> u32 {
    let file = std::fs::read_to_string(folder.join("data/postmaster.pid")).expect("a running server has a pid file");
    let pid = file.lines().next().and_then(|first| first.parse().ok()).expect("its first line");
    leftovers::adopt(pid, Stop::Quit);
    pid
}

/// Whoever works for a server.
fn children(parent: u32) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").expect("a running kernel");
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest); // the name may hold anything
        after_name.split(' ').nth(1).and_then(|text| text.parse().ok()) == Some(parent)
    };
    pids.filter(is_child).collect()
}

/// One by one: a connection may end in between.
fn stop_all(pids: &[u32], name: &str) {
    for pid in pids {
        let _ = Command::new("sh").args(["-c", "kill -s \"$@\" 2>/dev/null", "sh", name, &pid.to_string()]).status();
    }
}

fn must(command: &mut Command, folder: &Path) -> Output {
    let output = command.current_dir(folder).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_else(|error| format!("no log: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_belongs_to_a_login_that_row_security_binds() {
        let server = Postgres::shared();
        let url = server.database();
        let login = server.query(
            &url,
            "select current_user, rolsuper, rolbypassrls, rolinherit, rolcreaterole from pg_roles where rolname = current_user",
        );
        assert_eq!(login, format!("{LOGIN}|f|f|f|t"));
        assert_eq!(server.query(&url, "create schema apex; select 1"), "1");
        assert_eq!(server.query(&server.superuser(&url), "select current_user"), "postgres");
        assert_ne!(server.database(), url);
    }

    #[test]
    fn a_private_server_can_be_frozen_and_stopped_and_has_everything_afterwards() {
        let server = Postgres::private();
        let url = server.database();
        server.query(&url, "create schema apex; create table apex.kept (n int); insert into apex.kept values (7)");
        server.freeze();
        let (port, pid) = (server.own().port, server.own().pid());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok(), "the kernel still answers");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        assert!(stat.contains(") T "), "{stat}");
        server.thaw();
        assert_eq!(server.query(&url, "select n from apex.kept"), "7");
        server.stop();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
        server.start_again();
        assert_eq!((server.query(&url, "select n from apex.kept"), server.connections(&url)), ("7".to_owned(), 0));
    }
}
