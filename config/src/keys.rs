//! Every setting in one table: its name in the file, its name in the environment, its default and its meaning.
//!
//! Loading, the check for unknown names, `default.toml` and the table in the README all come from here.

use std::fmt::Write;

/// What a setting holds; decides how it is written in `apex.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string that never prints.
    Secret,
    /// An integer.
    Number,
    /// A list of strings; in the environment separated by commas.
    List,
    /// A list of strings that never print; in the environment separated by commas.
    SecretList,
}

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// `section.key` in `apex.toml` (two keys stand before all sections and have no dot).
    pub key: &'static str,
    /// The environment variable; it wins over the file.
    pub env: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The default as it is written in the environment; `None`: unset.
    pub default: Option<&'static str>,
    /// What it means, with its unit.
    pub meaning: &'static str,
}

/// The text of `default.toml`: every setting, its default and unit, ready to copy to `apex.toml`.
pub const DEFAULT_FILE: &str = include_str!("../default.toml");

/// Variables that begin with `APEX_`, are no settings and are left to those who read them.
const OTHER_VARIABLES: &[&str] = &["APEX_CONFIG", "APEX_FAULTS", "APEX_CLOCK_FILE", "APEX_SANDBOX_PACE", "APEX_PORT"];

/// Beginnings of variables that others set: Kubernetes describes a service called `apex` in this way.
const OTHER_BEGINNINGS: &[&str] = &["APEX_SERVICE_", "APEX_PORT_", "APEX_TEST_"];

/// Every setting, in the order of the file.
pub const KEYS: &[Key] = &[
    text("environment", "APEX_ENV", Some("development"), "development or production; production insists on secrets"),
    text("data_dir", "APEX_DATA_DIR", Some("data"), "folder of the SQLite database, recordings and generated secrets"),
    text("server.bind", "APEX_BIND", Some("127.0.0.1:8000"), "address and port of the API; port 0 takes a free one"),
    text("server.admin_bind", "APEX_ADMIN_BIND", Some("127.0.0.1:9000"), "address and port of /live, /ready, /metrics"),
    text("server.public_url", "APEX_PUBLIC_URL", None, "how the outside reaches the API; https in production"),
    list("server.allowed_origins", "ALLOWED_ORIGINS", "origins whose browser pages may call the API"),
    number("server.head_seconds", "APEX_HEAD_SECONDS", "10", "seconds until a new connection must have sent a request"),
    number("server.body_seconds", "APEX_BODY_SECONDS", "20", "seconds in which the body of a request must arrive"),
    number(
        "server.keep_alive_seconds",
        "APEX_KEEP_ALIVE_SECONDS",
        "75",
        "seconds until the next request of a connection",
    ),
    secret("database.url", "DATABASE_URL", "postgresql://... or sqlite:path; unset: apex.db in the data folder"),
    number("database.max_connections", "APEX_DATABASE_CONNECTIONS", "16", "connections of the pool, 2 to 1000"),
    number("database.max_megabytes", "APEX_SQLITE_MEGABYTES", "0", "largest size of a SQLite database; 0: the disk's"),
    secret("redis.url", "REDIS_URL", "redis://... or rediss://...; unset: tickets are mirrored in memory"),
    number("redis.ttl_seconds", "REDIS_TTL_SECONDS", "3600", "seconds a mirrored ticket is kept"),
    secret("auth.jwt_secret", "APEX_JWT_SECRET", "signs access tokens; at least 32 bytes; required in production"),
    secrets("auth.kms_keys", "APEX_KMS_KEY", "Fernet keys; the first encrypts, all decrypt; required in production"),
    number("auth.access_seconds", "APEX_ACCESS_SECONDS", "900", "seconds an access token is good for"),
    number("auth.refresh_seconds", "APEX_REFRESH_SECONDS", "2592000", "seconds a refresh token is good for"),
    text("cluster.advertise_url", "APEX_ADVERTISE_URL", None, "how other nodes reach this one; set = clustered"),
    secret("cluster.secret", "APEX_CLUSTER_SECRET", "signs requests between nodes; at least 32 bytes"),
    text("twilio.account_sid", "TWILIO_ACCOUNT_SID", None, "AC and 32 hexadecimal digits"),
    secret("twilio.auth_token", "TWILIO_AUTH_TOKEN", "sends requests and checks signatures"),
    text("twilio.phone_number", "TWILIO_PHONE_NUMBER", None, "the caller's number, like +6421000000"),
    text("twilio.api_url", "TWILIO_API_URL", None, "unset: https://api.twilio.com"),
    number("twilio.calls_per_second", "TWILIO_CALLS_PER_SECOND", "1", "calls the account may start, 1 to 1000"),
    secret("llm.google_api_key", "GOOGLE_API_KEY", "key for Gemini; unset: analysis by rules"),
    text("llm.gemini_api_url", "GEMINI_API_URL", None, "unset: Google's own"),
    text("llm.model", "APEX_LLM_MODEL", Some("gemini-3.8-flash"), "model that transcribes and analyses calls"),
    secret("llm.openai_api_key", "OPENAI_API_KEY", "key for OpenAI or a server that speaks like it"),
    text("llm.openai_api_url", "OPENAI_API_URL", None, "unset: OpenAI's own"),
    secret("llm.anthropic_api_key", "ANTHROPIC_API_KEY", "key for Anthropic"),
    text("llm.anthropic_api_url", "ANTHROPIC_API_URL", None, "unset: Anthropic's own"),
    number("llm.timeout_seconds", "APEX_LLM_TIMEOUT_SECONDS", "60", "seconds a model may take for one answer"),
    number("calls.ring_seconds", "APEX_CALL_RING_SECONDS", "25", "seconds a phone rings, 5 to 60"),
    number("calls.lookup_seconds", "APEX_CALL_LOOKUP_SECONDS", "60", "seconds an unclear call is looked for"),
    number("calls.silent_seconds", "APEX_CALL_SILENT_SECONDS", "15", "seconds without a callback until a poll"),
    number("calls.recording_seconds", "APEX_RECORDING_WAIT_SECONDS", "30", "seconds a recording is waited for"),
    number("calls.max_seconds", "APEX_CALL_MAX_SECONDS", "3600", "seconds after which a call is ended"),
    text(
        "calls.hold_effects",
        "APEX_HOLD_EFFECTS",
        Some("false"),
        "true: no call or message leaves until it is released",
    ),
    number("calls.outcome_minutes", "APEX_LEAD_OUTCOME_MINUTES", "30", "minutes until a lead without outcome is told"),
    number("limits.node_permits", "APEX_NODE_PERMITS", "20000", "requests in hand on this node"),
    number("limits.project_permits", "APEX_PROJECT_PERMITS", "1000", "requests in hand for one project"),
    number("limits.live_trees", "APEX_LIVE_TREES", "50000", "projects awake on this node"),
    number("limits.actor_milliseconds", "APEX_ACTOR_MILLISECONDS", "5000", "milliseconds an actor may take to answer"),
    number("limits.idle_seconds", "APEX_IDLE_SECONDS", "300", "seconds until an idle project is put to sleep"),
    number("limits.drain_seconds", "APEX_DRAIN_SECONDS", "10", "seconds for work in hand when stopping"),
    number(
        "limits.sweep_milliseconds",
        "APEX_SWEEP_MILLISECONDS",
        "500",
        "milliseconds between two looks for due work",
    ),
    number("limits.timeline_days", "APEX_TIMELINE_DAYS", "90", "days that the timeline of an ended ticket is kept"),
    number(
        "limits.organization_per_second",
        "APEX_ORGANIZATION_PER_SECOND",
        "100",
        "requests of an organisation; 0: any",
    ),
    number("limits.address_per_second", "APEX_ADDRESS_PER_SECOND", "50", "requests without a token; 0: behind a proxy"),
    number("limits.logins_per_minute", "APEX_LOGINS_PER_MINUTE", "10", "wrong sign-ins by address and e-mail; 0: any"),
    number("limits.body_bytes", "APEX_BODY_BYTES", "1048576", "largest request body in bytes"),
    text("telemetry.filter", "RUST_LOG", Some("info,sqlx=warn"), "which log lines are written"),
    text("telemetry.format", "APEX_LOG_FORMAT", None, "text or json; unset: json in production, else text"),
];

const fn text(key: &'static str, env: &'static str, default: Option<&'static str>, meaning: &'static str) -> Key {
    Key { key, env, kind: Kind::Text, default, meaning }
}

const fn number(key: &'static str, env: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { key, env, kind: Kind::Number, default: Some(default), meaning }
}

const fn list(key: &'static str, env: &'static str, meaning: &'static str) -> Key {
    Key { key, env, kind: Kind::List, default: None, meaning }
}

const fn secret(key: &'static str, env: &'static str, meaning: &'static str) -> Key {
    Key { key, env, kind: Kind::Secret, default: None, meaning }
}

const fn secrets(key: &'static str, env: &'static str, meaning: &'static str) -> Key {
    Key { key, env, kind: Kind::SecretList, default: None, meaning }
}

/// The setting with this name in the file.
pub fn by_key(key: &str) -> Option<&'static Key> {
    KEYS.iter().find(|known| known.key == key)
}

/// The table of settings as Markdown, for the README.
pub fn markdown() -> String {
    let mut table = String::from("| variable | in `apex.toml` | default | meaning |\n|---|---|---|---|\n");
    for key in KEYS {
        let default = key.default.map_or_else(String::new, |text| format!("`{text}`"));
        writeln!(table, "| `{}` | `{}` | {default} | {} |", key.env, key.key, key.meaning)
            .expect("writing to a String cannot fail");
    }
    table
}

/// Whether a variable looks like one of ours and is not.
pub(crate) fn is_unknown_variable(name: &str) -> bool {
    name.starts_with("APEX_")
        && !KEYS.iter().any(|key| key.env == name)
        && !OTHER_VARIABLES.contains(&name)
        && !OTHER_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What `default.toml` must be, letter for letter.
    fn default_file() -> String {
        let mut file = String::from(
            "# Every setting of Apex with its default and unit. Copy what you change to apex.toml.\n\
             # The environment variable in brackets wins over the file. A line that begins with \"# name =\" is unset.\n",
        );
        let mut section = "";
        for key in KEYS {
            let (of, name) = key.key.split_once('.').unwrap_or(("", key.key));
            if of != section {
                write!(file, "\n[{of}]").unwrap();
                section = of;
            }
            let value = match (key.kind, key.default) {
                (Kind::Number, Some(text)) => format!("{name} = {text}"),
                (Kind::Text, Some(text)) => format!("{name} = \"{text}\""),
                (Kind::List | Kind::SecretList, _) => format!("# {name} = []"),
                _ => format!("# {name} = \"\""),
            };
            write!(file, "\n# {} [{}]\n{value}\n", key.meaning, key.env).unwrap();
        }
        file
    }

    #[test]
    fn default_file_lists_exactly_the_keys() {
        assert_eq!(DEFAULT_FILE, default_file());
    }

    #[test]
    fn every_name_stands_once() {
        assert_eq!(KEYS.iter().map(|key| key.key).collect::<BTreeSet<_>>().len(), KEYS.len());
        assert_eq!(KEYS.iter().map(|key| key.env).collect::<BTreeSet<_>>().len(), KEYS.len());
    }

    #[test]
    fn the_markdown_table_has_a_row_for_every_key() {
        assert_eq!(markdown().lines().count(), KEYS.len() + 2);
        assert!(markdown().contains("| `REDIS_TTL_SECONDS` | `redis.ttl_seconds` | `3600` |"));
    }

    #[test]
    fn variables_that_others_set_are_left_alone() {
        for name in [
            "APEX_FAULTS",
            "APEX_CLOCK_FILE",
            "APEX_CONFIG",
            "APEX_SERVICE_HOST",
            "APEX_PORT",
            "APEX_PORT_8000_TCP",
            "PATH",
        ] {
            assert!(!is_unknown_variable(name), "{name} is refused");
        }
        assert!(is_unknown_variable("APEX_BIDN"));
        assert!(!is_unknown_variable("APEX_BIND"));
    }
}
