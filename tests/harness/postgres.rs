//! A private Postgres on a free port, shared by the tests of one process.
//!
//! Its databases belong to a login that is no superuser and inherits nothing, because that is what row-level security
//! is promised for.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use reqwest::Url;
use tempfile::TempDir;

use crate::leftovers::{self, Stop};

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

/// A running server and the right to create databases on it.
#[derive(Debug)]
pub struct Postgres {
    admin: Url,
    psql: PathBuf,
    _folder: Option<TempDir>,
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
                None => leftovers::starting(Self::start),
            };
            server.create_login();
            server
        })
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
        Self { admin, psql, _folder: None }
    }

    fn start() -> Self {
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
        conf.write_all(SETTINGS.as_bytes()).expect("a writable folder");
        let port = (0..5)
            .find_map(|_| try_port(as_root, &bin, folder.path()))
            .unwrap_or_else(|| panic!("Postgres does not start: {}", log(folder.path())));
        let pid = std::fs::read_to_string(data.join("postmaster.pid")).expect("a running server has a pid file");
        leftovers::adopt(pid.lines().next().and_then(|first| first.parse().ok()).expect("its first line"), Stop::Quit);
        let admin = Url::parse(&format!("postgres://postgres@127.0.0.1:{port}/postgres")).expect("a valid URL");
        Self { admin, psql: bin.join("psql"), _folder: Some(folder) }
    }

    fn create_login(&self) {
        let create = format!(
            "do $$ begin create role {LOGIN} login password '{PASSWORD}' nosuperuser nobypassrls noinherit createrole;
             exception when duplicate_object or unique_violation then null; end $$"
        );
        self.query(self.admin.as_str(), &create);
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

/// `None` when somebody took the port in between.
fn try_port(as_root: bool, bin: &Path, folder: &Path) -> Option<u16> {
    let port = leftovers::free_port();
    let mut start = server_command(as_root, &bin.join("pg_ctl"));
    start.args(["-D", "data", "-l", "log", "-w", "-t", "30", "-o", &format!("-p {port}"), "start"]);
    // Not piped: the server inherits them and would keep a pipe open for ever.
    start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(folder);
    start.status().is_ok_and(|status| status.success()).then_some(port)
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
}
