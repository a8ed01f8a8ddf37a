//! Loading: every section from one source, every problem at once.

use std::{collections::BTreeMap, path::Path, path::PathBuf};

use crate::{
    Auth, Calls, Cluster, Database, Limits, Llm, Redis, Server, Telemetry, Twilio, file,
    keys::{KEYS, is_unknown_variable},
    nearest::nearest,
    problem::{Checked, Fault, Problem, Problems},
    source::Source,
};

/// How serious this installation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// One person tries things; missing secrets are made up.
    Development,
    /// Real leads; missing secrets stop the start.
    Production,
}

impl Environment {
    /// Whether secrets are required.
    pub fn is_production(self) -> bool {
        self == Self::Production
    }

    fn parse(text: &str) -> Checked<Self> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            _ => Err(Fault::new("is neither development nor production", "write one of the two")),
        }
    }
}

/// All settings, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Development or production.
    pub environment: Environment,
    /// Folder of the `SQLite` database, recordings and generated secrets.
    pub data_dir: PathBuf,
    /// Addresses this server listens on and is reached by.
    pub server: Server,
    /// Where rows are kept.
    pub database: Database,
    /// Where tickets are mirrored.
    pub redis: Redis,
    /// Tokens and encryption.
    pub auth: Auth,
    /// Other nodes.
    pub cluster: Cluster,
    /// Telephony.
    pub twilio: Twilio,
    /// Language models.
    pub llm: Llm,
    /// How long calls may ring, last and stay silent.
    pub calls: Calls,
    /// How much is taken on at once.
    pub limits: Limits,
    /// Logs.
    pub telemetry: Telemetry,
}

/// Loads the settings: the environment wins over the file, the file over the defaults.
///
/// Pure except for reading the file. An empty variable counts as unset. Unknown variables cannot be seen through
/// `env`; see [`load_with_names`].
///
/// # Errors
///
/// Every problem of file and values at once.
pub fn load(file: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    load_with_names(file, env, &[])
}

/// Like [`load`], and refuses every name of `names` that begins with `APEX_` and is no setting.
///
/// # Errors
///
/// Every problem of file, names and values at once.
pub fn load_with_names(
    file: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    names: &[&str],
) -> Result<Config, Problems> {
    finish(file, env, names, Vec::new())
}

/// Like [`load_with_names`], with the environment of this process.
///
/// # Errors
///
/// Every problem of file, names and values at once; also a setting that is not UTF-8.
pub fn load_process(file: Option<&Path>) -> Result<Config, Problems> {
    let mut variables = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => {
                variables.insert(name, value);
            }
            Err(_) if KEYS.iter().any(|key| key.env == name) => problems.push(Problem {
                key: name,
                problem: "is not UTF-8".into(),
                fix: "set it again as UTF-8 text".into(),
            }),
            Err(_) => {}
        }
    }
    let names: Vec<&str> = variables.keys().map(String::as_str).collect();
    finish(file, &|name| variables.get(name).cloned(), &names, problems)
}

fn finish(
    path: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
    names: &[&str],
    mut problems: Vec<Problem>,
) -> Result<Config, Problems> {
    let values = path.map(|path| file::read(path, &mut problems)).unwrap_or_default();
    problems.extend(names.iter().filter(|name| is_unknown_variable(name)).map(|name| unknown_variable(name)));
    let mut source = Source::new(env, values, problems);
    let config = read(&mut source);
    check_between(&config, &mut source);
    let problems = source.into_problems();
    if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
}

fn unknown_variable(name: &str) -> Problem {
    let fix = nearest(name, KEYS.iter().map(|key| key.env))
        .map_or_else(|| "unset it".to_owned(), |known| format!("did you mean {known}?"));
    Problem { key: name.to_owned(), problem: "unknown variable".into(), fix }
}

fn read(source: &mut Source<'_>) -> Config {
    let environment = source.checked("environment", Environment::parse).unwrap_or(Environment::Development);
    let data_dir = PathBuf::from(source.text("data_dir").unwrap_or_default());
    Config {
        environment,
        server: Server::read(source, environment),
        database: Database::read(source, &data_dir),
        redis: Redis::read(source),
        auth: Auth::read(source, environment),
        cluster: Cluster::read(source),
        twilio: Twilio::read(source),
        llm: Llm::read(source),
        calls: Calls::read(source),
        limits: Limits::read(source),
        telemetry: Telemetry::read(source, environment),
        data_dir,
    }
}

/// What shows only between sections.
fn check_between(config: &Config, source: &mut Source<'_>) {
    if config.cluster.is_clustered() && !config.database.url.is_postgres() && !source.is_wrong("database.url") {
        source.refuse(
            "database.url",
            "several nodes cannot share a SQLite file",
            "set DATABASE_URL to a PostgreSQL database, or unset APEX_ADVERTISE_URL",
        );
    }
    if config.environment.is_production() && config.twilio.is_configured() && !source.is_set("server.public_url") {
        source.refuse(
            "server.public_url",
            "missing, and Twilio cannot call back without it",
            "set it to the https address under which Twilio reaches this server",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeSet, io::Write, time::Duration};

    use super::*;
    use crate::DatabaseUrl;

    const FERNET: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

    fn with(variables: &[(&str, &str)]) -> Result<Config, Problems> {
        load(None, &|name| lookup(variables, name))
    }

    fn lookup(variables: &[(&str, &str)], name: &str) -> Option<String> {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn keys_of(result: Result<Config, Problems>) -> Vec<String> {
        result.map(|_| ()).unwrap_err().0.into_iter().map(|problem| problem.key).collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn nothing_set_is_a_working_development() {
        let config = with(&[]).unwrap();
        assert_eq!(config.environment, Environment::Development);
        assert_eq!(config.server.bind.to_string(), "127.0.0.1:8000");
        assert_eq!(config.server.admin_bind.to_string(), "127.0.0.1:9000");
        assert!(matches!(&config.database.url, DatabaseUrl::Sqlite(path) if path == Path::new("data/apex.db")));
        assert_eq!(config.database.max_connections, 16);
        assert_eq!(config.redis.ttl, Duration::from_hours(1));
        assert_eq!(config.auth.access_ttl, Duration::from_mins(15));
        assert_eq!(config.auth.refresh_ttl, Duration::from_hours(30 * 24));
        assert_eq!(config.llm.model, "gemini-3.8-flash");
        assert_eq!(config.limits.call_timeout, Duration::from_secs(5));
        assert_eq!(config.limits.body_bytes, 1 << 20);
        assert!(!config.twilio.is_configured() && !config.cluster.is_clustered() && !config.telemetry.json);
    }

    #[test]
    fn every_key_of_the_table_is_read() {
        let asked = RefCell::new(BTreeSet::new());
        load(None, &|name| {
            asked.borrow_mut().insert(name.to_owned());
            None
        })
        .unwrap();
        let known: BTreeSet<_> = KEYS.iter().map(|key| key.env.to_owned()).collect();
        assert_eq!(asked.into_inner(), known);
    }

    #[test]
    fn the_default_file_changes_nothing() {
        let file = file(crate::DEFAULT_FILE);
        let loaded = load(Some(file.path()), &|_| None).unwrap();
        assert_eq!(format!("{loaded:?}"), format!("{:?}", with(&[]).unwrap()));
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let file = file("[server]\nbnd = \"x\"\n[redis]\nttl_seconds = 0\n");
        let variables = [
            ("APEX_BIND", "everywhere"),
            ("APEX_PUBLIC_URL", "apex.example.com"),
            ("APEX_JWT_SECRET", "short"),
            ("APEX_KMS_KEY", "short"),
            ("DATABASE_URL", "mysql://h/n"),
            ("TWILIO_ACCOUNT_SID", "AC1"),
            ("APEX_LOG_FORMAT", "xml"),
            ("APEX_DATABASE_CONNECTIONS", "many"),
        ];
        let result = load_with_names(Some(file.path()), &|name| lookup(&variables, name), &["APEX_BIDN", "PATH"]);
        let mut keys = keys_of(result);
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "APEX_BIDN",
                "APEX_BIND",
                "APEX_DATABASE_CONNECTIONS",
                "APEX_JWT_SECRET",
                "APEX_KMS_KEY",
                "APEX_LOG_FORMAT",
                "APEX_PUBLIC_URL",
                "DATABASE_URL",
                "TWILIO_ACCOUNT_SID",
                "TWILIO_AUTH_TOKEN",
                "TWILIO_PHONE_NUMBER",
                "redis.ttl_seconds",
                "server.bnd",
            ]
        );
    }

    #[test]
    fn an_unknown_variable_names_its_neighbour() {
        let problems = load_with_names(None, &|_| None, &["APEX_JWT_SECRT"]).unwrap_err();
        assert_eq!(problems.to_string(), "1. APEX_JWT_SECRT: unknown variable. Fix: did you mean APEX_JWT_SECRET?");
    }

    #[test]
    fn production_without_secrets_does_not_start() {
        let production = |more: &[(&str, &str)]| with(&[&[("APEX_ENV", "production")], more].concat());
        assert_eq!(keys_of(production(&[])), ["APEX_JWT_SECRET", "APEX_KMS_KEY"]);
        let secrets = [("APEX_JWT_SECRET", "0123456789abcdef0123456789abcdef"), ("APEX_KMS_KEY", FERNET)];
        assert!(production(&secrets).unwrap().telemetry.json);
        let plain = [&secrets[..], &[("APEX_PUBLIC_URL", "http://apex.example.com")]].concat();
        assert_eq!(keys_of(production(&plain)), ["APEX_PUBLIC_URL"]);
    }

    #[test]
    fn a_short_secret_is_told_with_its_fix_and_not_repeated() {
        let text = with(&[("APEX_JWT_SECRET", "hunter2")]).unwrap_err().to_string();
        assert!(text.starts_with("1. APEX_JWT_SECRET: shorter than 32 bytes. Fix: "), "{text}");
        assert!(!text.contains("hunter2"));
    }

    #[test]
    fn every_one_of_several_fernet_keys_is_checked() {
        let two = format!("{FERNET}, AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(with(&[("APEX_KMS_KEY", &two)]).unwrap().auth.kms_keys.len(), 2);
        assert_eq!(keys_of(with(&[("APEX_KMS_KEY", &format!("{FERNET},nonsense"))])), ["APEX_KMS_KEY"]);
        assert_eq!(keys_of(with(&[("APEX_KMS_KEY", ",")])), ["APEX_KMS_KEY"]);
    }

    #[test]
    fn the_environment_beats_the_file_and_the_file_the_default() {
        let file = file("[redis]\nttl_seconds = 10\n[llm]\nmodel = \"from-file\"\n");
        let config = load(Some(file.path()), &|name| lookup(&[("REDIS_TTL_SECONDS", "20")], name)).unwrap();
        assert_eq!(config.redis.ttl, Duration::from_secs(20));
        assert_eq!(config.llm.model, "from-file");
        let empty = load(Some(file.path()), &|name| lookup(&[("REDIS_TTL_SECONDS", "")], name)).unwrap();
        assert_eq!(empty.redis.ttl, Duration::from_secs(10));
    }

    #[test]
    fn a_cluster_needs_its_secret_and_a_shared_database() {
        let advertise = ("APEX_ADVERTISE_URL", "http://10.0.0.1:8000");
        let secret = ("APEX_CLUSTER_SECRET", "0123456789abcdef0123456789abcdef");
        assert_eq!(keys_of(with(&[advertise])), ["APEX_CLUSTER_SECRET", "DATABASE_URL"]);
        assert_eq!(keys_of(with(&[advertise, secret, ("DATABASE_URL", "sqlite:x.db")])), ["DATABASE_URL"]);
        let config = with(&[advertise, secret, ("DATABASE_URL", "postgres://u:p@h/n")]).unwrap();
        assert!(config.cluster.is_clustered());
    }

    #[test]
    fn twilio_in_production_needs_a_public_address() {
        let sid = format!("AC{}", "0f".repeat(16));
        let mut variables = vec![
            ("APEX_ENV", "production"),
            ("APEX_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ("APEX_KMS_KEY", FERNET),
            ("TWILIO_ACCOUNT_SID", &sid),
            ("TWILIO_AUTH_TOKEN", "token"),
            ("TWILIO_PHONE_NUMBER", "+6421000000"),
        ];
        assert_eq!(keys_of(with(&variables)), ["APEX_PUBLIC_URL"]);
        variables.push(("APEX_PUBLIC_URL", "https://apex.example.com"));
        assert!(with(&variables).unwrap().twilio.is_configured());
    }

    #[test]
    fn no_secret_prints() {
        let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
        let config = with(&[
            ("APEX_JWT_SECRET", secret),
            ("APEX_KMS_KEY", FERNET),
            ("APEX_CLUSTER_SECRET", secret),
            ("GOOGLE_API_KEY", secret),
            ("OPENAI_API_KEY", secret),
            ("ANTHROPIC_API_KEY", secret),
            ("REDIS_URL", "redis://:hunter2@h"),
            ("DATABASE_URL", "postgres://u:hunter2@h/n"),
        ])
        .unwrap();
        let text = format!("{config:?}");
        assert!(!text.contains("hunter2") && !text.contains(FERNET), "{text}");
    }
}
