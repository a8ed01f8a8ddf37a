//! `apex doctor`: what works, what does not, and what to do about it.

use std::process::ExitCode;
use std::time::Duration;

use apex_config::Config;
use secrecy::ExposeSecret;

use crate::cli::Pace;
use crate::commands::block_on;
use crate::data_dir::DataDir;
use crate::{app, banner, outside};

const PATIENCE: Duration = Duration::from_secs(5);

/// One line of the report.
struct Finding {
    what: &'static str,
    problem: Option<String>,
    note: String,
}

impl Finding {
    fn good(what: &'static str, note: impl Into<String>) -> Self {
        Self { what, problem: None, note: note.into() }
    }

    fn bad(what: &'static str, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, problem: Some(problem.into()), note: fix.into() }
    }
}

/// Checks everything and prints a line each; fails when something is broken.
pub(crate) fn run(config: Config) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let mut findings = vec![Finding::good("settings", "read and complete")];
        findings.push(database(&config).await);
        findings.push(redis(&config).await);
        findings.extend(providers(&config).await);
        let mut sick = false;
        for Finding { what, problem, note } in findings {
            match problem {
                None => println!("ok    {what:<12} {note}"),
                Some(problem) => {
                    sick = true;
                    println!("FAIL  {what:<12} {problem}\n      {:<12} {note}", "fix:");
                }
            }
        }
        Ok(if sick { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}

async fn database(config: &Config) -> Finding {
    let data_dir = match DataDir::lock(&config.data_dir) {
        Ok(data_dir) => data_dir,
        Err(error) => {
            return Finding::bad("data folder", format!("{error:#}"), "a running server holds it: that is fine");
        }
    };
    let kind = if config.database.url.is_postgres() { "Postgres" } else { "SQLite" };
    match app::open_store(config, &data_dir).await {
        Ok(store) => {
            let answered = store.ping().await;
            store.close().await;
            match answered {
                Ok(()) => Finding::good("database", format!("{kind}, up to date, row security checked at start")),
                Err(error) => Finding::bad("database", error.to_string(), "check DATABASE_URL"),
            }
        }
        Err(error) => Finding::bad("database", format!("{error:#}"), "check DATABASE_URL and the login's rights"),
    }
}

async fn redis(config: &Config) -> Finding {
    let Some(url) = &config.redis.url else {
        return Finding::good("redis", "not set: tickets are mirrored in memory, which is right for one node");
    };
    let mirror = apex_storage::mirror::redis(url.expose_secret(), config.redis.ttl).await;
    let up = tokio::time::timeout(PATIENCE, async {
        while !mirror.is_up() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    match up.await {
        Ok(()) => Finding::good("redis", "answers"),
        Err(_) => {
            Finding::bad("redis", "no answer", "check REDIS_URL; without Redis nothing is lost, reads are slower")
        }
    }
}

async fn providers(config: &Config) -> Vec<Finding> {
    let outside = match outside::open(config, Pace::Instant).await {
        Ok(outside) => outside,
        Err(error) => return vec![Finding::bad("telephone", format!("{error:#}"), "see README, real telephones")],
    };
    let telephone = match outside.ports.telephony.check().await {
        Ok(()) => Finding::good("telephone", banner::mode(outside.sandbox.is_some())),
        Err(error) => Finding::bad(
            "telephone",
            error.to_string(),
            "check TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_API_URL",
        ),
    };
    let model = if outside.ports.llm.is_configured() {
        Finding::good("model", format!("{} is configured", config.llm.model))
    } else {
        Finding::good("model", "none: calls are not transcribed, and rules analyse (set GOOGLE_API_KEY)")
    };
    vec![telephone, model]
}
