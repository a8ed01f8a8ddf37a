//! What a program is started with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use apex_sandbox::{Options, Sandbox};

use super::{Apex, OUR_NUMBER, binary};
use crate::{Postgres, Redis, leftovers};

/// The environment that a program inherits from the test; everything else is set here or not at all.
const INHERITED: [&str; 2] = ["PATH", "HOME"];
/// Short waits, so that a test of a lost callback does not take a minute; and no limits, since all tests come from one address.
const QUICK: [(&str, &str); 10] = [
    ("RUST_LOG", "info"),
    ("APEX_SWEEP_MILLISECONDS", "100"),
    ("TWILIO_CALLS_PER_SECOND", "1000"),
    ("APEX_CALL_LOOKUP_SECONDS", "2"),
    ("APEX_CALL_SILENT_SECONDS", "1"),
    ("APEX_RECORDING_WAIT_SECONDS", "2"),
    ("APEX_ADMIN_BIND", "127.0.0.1:0"),
    ("APEX_ORGANIZATION_PER_SECOND", "0"),
    ("APEX_ADDRESS_PER_SECOND", "0"),
    ("APEX_LOGINS_PER_MINUTE", "0"),
];

/// Describes a program; [`Builder::start`] starts it.
#[derive(Clone, Debug)]
pub struct Builder {
    settings: BTreeMap<String, String>,
    faults: Vec<String>,
    arguments: Vec<String>,
    port: u16,
    auth_token: String,
    account_sid: String,
}

impl Builder {
    pub(super) fn new() -> Self {
        let port = leftovers::free_port();
        let options = Options::default();
        let quick = QUICK.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let own = [
            ("APEX_BIND".to_owned(), format!("127.0.0.1:{port}")),
            ("APEX_PUBLIC_URL".to_owned(), format!("http://127.0.0.1:{port}")),
        ];
        Self {
            settings: quick.into_iter().chain(own).collect(),
            faults: Vec::new(),
            arguments: vec!["serve".to_owned()],
            port,
            auth_token: options.auth_token,
            account_sid: options.account_sid,
        }
    }

    /// Rows in a file of the data directory. The default.
    #[must_use]
    pub fn sqlite(self) -> Self {
        self.without("DATABASE_URL")
    }

    /// Rows in a fresh database of the shared Postgres.
    #[must_use]
    pub fn postgres(self) -> Self {
        let url = Postgres::shared().database();
        self.env("DATABASE_URL", &url)
    }

    /// Rows in a fresh database of a Postgres that the test may stop.
    #[must_use]
    pub fn private_postgres(self, server: &Postgres) -> Self {
        let url = server.database();
        self.env("DATABASE_URL", &url)
    }

    /// Copies in the shared Redis.
    #[must_use]
    pub fn redis(self) -> Self {
        self.env("REDIS_URL", &Redis::shared().url())
    }

    /// Copies in a Redis that the test may stop.
    #[must_use]
    pub fn private_redis(self, redis: &Redis) -> Self {
        self.env("REDIS_URL", &redis.url())
    }

    /// Telephone provider and language model are a sandbox started with its default options.
    #[must_use]
    pub fn sandbox(self, sandbox: &Sandbox) -> Self {
        self.sandbox_with(sandbox, &Options::default())
    }

    /// Like [`Self::sandbox`], for one started with other credentials.
    #[must_use]
    pub fn sandbox_with(mut self, sandbox: &Sandbox, options: &Options) -> Self {
        let url = sandbox.url();
        self.account_sid.clone_from(&options.account_sid);
        self.auth_token.clone_from(&options.auth_token);
        self.env("TWILIO_ACCOUNT_SID", &options.account_sid)
            .env("TWILIO_AUTH_TOKEN", &options.auth_token)
            .env("TWILIO_PHONE_NUMBER", OUR_NUMBER)
            .env("TWILIO_API_URL", &url)
            .env("GOOGLE_API_KEY", &options.gemini_key)
            .env("GEMINI_API_URL", &format!("{url}/v1beta/"))
    }

    /// Sets one variable of its environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    /// Removes one variable, also one that is set by default.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.settings.remove(key);
        self
    }

    /// Plants a fault for the first run: `name=exit`, `name=panic` or `name=stall`; `name=panic*11` strikes eleven times.
    #[must_use]
    pub fn fault(mut self, fault: &str) -> Self {
        self.plant(fault);
        self
    }

    /// Adds an argument after `serve`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Panics
    ///
    /// When it ends or is silent for [`crate::wait::PATIENCE`]; the message holds what it printed.
    pub async fn start(self) -> Apex {
        let folder = leftovers::folder("apex");
        Apex::launch(self, folder).await
    }

    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), value.to_owned());
    }

    pub(super) fn plant(&mut self, fault: &str) {
        self.faults.push(fault.to_owned());
    }

    pub(super) fn forget_argument(&mut self, argument: &str) {
        self.arguments.retain(|given| given != argument);
    }

    pub(super) fn forget_faults(&mut self) {
        self.faults.clear();
    }

    pub(super) fn api_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn database_url(&self) -> Option<&str> {
        self.settings.get("DATABASE_URL").map(String::as_str)
    }

    pub(super) fn account_sid(&self) -> &str {
        &self.account_sid
    }

    pub(super) fn auth_token(&self) -> &str {
        &self.auth_token
    }

    /// Another command of `apex` with the settings and the data directory of this one.
    pub(super) fn beside(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = bare(folder);
        command.args(arguments).envs(&self.settings);
        command
    }

    pub(super) fn command(&self, folder: &Path) -> Command {
        let mut command = bare(folder);
        command.args(&self.arguments).envs(&self.settings);
        if !self.faults.is_empty() {
            command.env("APEX_FAULTS", self.faults.join(","));
        }
        command
    }
}

pub(super) fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// The binary in an environment that knows nothing of the machine it runs on.
pub(super) fn bare(folder: &Path) -> Command {
    let inherited = std::env::vars_os().filter(|(key, _)| INHERITED.iter().any(|name| key == *name));
    let mut command = Command::new(binary::path());
    command.env_clear().envs(inherited).env("APEX_DATA_DIR", data_dir(folder)).current_dir(folder);
    command
}
