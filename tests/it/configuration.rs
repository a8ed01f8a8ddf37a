//! Wrong settings are told all at once, before a port is bound; what cannot work is refused in clear words.

use std::io::Write;
use std::net::TcpListener;

use apex_tests::program::{Ended, command};
use apex_tests::{Apex, Postgres, leftovers};
use serde_json::Value;

/// Settings that are wrong and no problem names.
const WRONG_SETTINGS: Option<i32> = Some(2);
const GOOD_FERNET: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

/// Each problem is one numbered line that names its key and a fix; nothing else was done.
fn tells_all(ended: &Ended, keys: &[&str]) {
    assert_eq!(ended.status.code(), WRONG_SETTINGS, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout, "", "nothing is ready");
    let numbered = |line: &&str| line.trim_start_matches("apex: ").starts_with(|first: char| first.is_ascii_digit());
    let lines: Vec<_> = ended.stderr.lines().filter(numbered).collect();
    assert_eq!(lines.len(), keys.len(), "{}", ended.stderr);
    for key in keys {
        let line = lines.iter().find(|line| line.contains(&format!(" {key}: ")));
        let line = line.unwrap_or_else(|| panic!("nothing about {key} in:\n{}", ended.stderr));
        assert!(line.contains(". Fix: "), "{line}");
    }
}

#[tokio::test]
async fn every_wrong_setting_is_told_at_once_and_before_a_port_is_bound() {
    // The port is taken: a program that tried to bind it first would complain of that.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let folder = leftovers::folder("settings");
    let file = folder.path().join("apex.toml");
    write!(std::fs::File::create(&file).unwrap(), "[server]\nbnd = \"127.0.0.1:1\"\n[redis]\nttl_seconds = 0\n")
        .unwrap();
    let ended = command(
        &["serve", "--config", file.to_str().unwrap()],
        &[
            ("APEX_BIND", &bind),
            ("DATABASE_URL", "mysql://kereru@db/apex"),
            ("REDIS_URL", "http://redis"),
            ("APEX_PUBLIC_URL", "apex.example.com"),
            ("TWILIO_API_URL", "ftp://twilio"),
            ("APEX_JWT_SECRET", "hunter2"),
            ("APEX_KMS_KEY", "hunter2"),
            ("APEX_IDEL_SECONDS", "1"),
            ("APEX_CALL_RING_SECONDS", "soon"),
            ("TWILIO_ACCOUNT_SID", "AC5a4db0c0ffee00112233445566778899"),
        ],
    )
    .await;
    let environment =
        ["DATABASE_URL", "REDIS_URL", "APEX_PUBLIC_URL", "TWILIO_API_URL", "APEX_JWT_SECRET", "APEX_KMS_KEY"];
    let others = ["APEX_IDEL_SECONDS", "APEX_CALL_RING_SECONDS", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER"];
    let keys: Vec<_> = environment.into_iter().chain(others).chain(["server.bnd", "redis.ttl_seconds"]).collect();
    tells_all(&ended, &keys);
    assert!(ended.stderr.contains("did you mean APEX_IDLE_SECONDS"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "no value is repeated: {}", ended.stderr);
}

#[tokio::test]
async fn production_without_secrets_does_not_start() {
    tells_all(&command(&["serve"], &[("APEX_ENV", "production")]).await, &["APEX_JWT_SECRET", "APEX_KMS_KEY"]);
}

#[tokio::test]
async fn production_takes_no_planted_faults_and_plays_no_outside() {
    let production = [
        ("APEX_ENV", "production"),
        ("APEX_JWT_SECRET", "0123456789abcdef0123456789abcdef"),
        ("APEX_KMS_KEY", GOOD_FERNET),
        ("APEX_BIND", "127.0.0.1:0"),
        ("APEX_ADMIN_BIND", "127.0.0.1:0"),
    ];
    let with_fault = [&production[..], &[("APEX_FAULTS", "call.begun=panic")]].concat();
    let ended = command(&["serve"], &with_fault).await;
    assert!(!ended.status.success() && ended.stderr.contains("APEX_FAULTS"), "{}", ended.stderr);
    let ended = command(&["serve"], &production).await;
    assert!(!ended.status.success() && ended.stderr.contains("TWILIO_ACCOUNT_SID"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_fault_that_nobody_knows_is_refused() {
    let ended = command(&["serve"], &[("APEX_FAULTS", "call.imagined=exit")]).await;
    assert!(!ended.status.success() && ended.stderr.contains("call.imagined"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_settings_file_that_is_not_there_is_a_problem() {
    let ended = command(&["serve", "--config", "/nowhere/apex.toml"], &[]).await;
    tells_all(&ended, &["/nowhere/apex.toml"]);
}

#[tokio::test]
async fn a_second_program_on_the_same_data_is_refused() {
    let apex = Apex::builder().start().await;
    let data = apex.data_dir();
    let settings =
        [("APEX_DATA_DIR", data.to_str().unwrap()), ("APEX_BIND", "127.0.0.1:0"), ("APEX_ADMIN_BIND", "127.0.0.1:0")];
    let ended = command(&["serve"], &settings).await;
    assert!(!ended.status.success(), "{}", ended.stdout);
    assert!(ended.stderr.contains("is in use by another apex"), "{}", ended.stderr);
    assert!(ended.stderr.contains("APEX_DATA_DIR"), "the fix is named: {}", ended.stderr);
    assert!(apex.client().get("/health").await.0.is_success(), "the first one is not disturbed");
}

#[tokio::test]
async fn a_taken_port_is_told_with_the_setting_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for setting in ["APEX_BIND", "APEX_ADMIN_BIND"] {
        let other = if setting == "APEX_BIND" { "APEX_ADMIN_BIND" } else { "APEX_BIND" };
        let ended = command(&["serve"], &[(setting, &address), (other, "127.0.0.1:0")]).await;
        assert!(!ended.status.success(), "{}", ended.stdout);
        let line = format!("{setting}: cannot listen on {address}");
        assert!(ended.stderr.contains(&line), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_superusers_login_is_refused_with_the_recipe_for_a_safe_one() {
    let server = Postgres::shared();
    let url = server.superuser(&server.database());
    let settings = [("DATABASE_URL", url.as_str()), ("APEX_BIND", "127.0.0.1:0"), ("APEX_ADMIN_BIND", "127.0.0.1:0")];
    let ended = command(&["serve"], &settings).await;
    assert!(!ended.status.success(), "{}", ended.stdout);
    let complaint = ended.stderr.to_lowercase();
    assert!(complaint.contains("superuser") && complaint.contains("create role"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_without_its_password() {
    let port = leftovers::free_port();
    let url = format!("postgresql://apex:hunter2@127.0.0.1:{port}/apex");
    let settings = [("DATABASE_URL", url.as_str()), ("APEX_BIND", "127.0.0.1:0"), ("APEX_ADMIN_BIND", "127.0.0.1:0")];
    let ended = command(&["serve"], &settings).await;
    assert!(!ended.status.success(), "{}", ended.stdout);
    assert!(ended.stderr.starts_with("apex: ") && !ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[tokio::test]
async fn every_command_explains_itself() {
    let help = command(&["--help"], &[]).await;
    assert!(help.status.success(), "{}", help.stderr);
    let commands = ["serve", "demo", "sandbox", "migrate", "doctor", "openapi"];
    for name in commands {
        assert!(help.stdout.lines().any(|line| line.trim_start().starts_with(name)), "{name}: {}", help.stdout);
        let own = command(&[name, "--help"], &[]).await;
        assert!(own.status.success() && own.stdout.contains(&format!("apex {name}")), "{name}: {}", own.stdout);
    }
    for hidden in ["faults", "settings"] {
        assert!(!help.stdout.contains(&format!("  {hidden} ")), "{}", help.stdout);
    }
    assert_eq!(command(&["sing"], &[]).await.status.code(), Some(2));
}

#[tokio::test]
async fn the_printed_document_is_the_one_that_is_served() {
    let printed = command(&["openapi"], &[]).await;
    assert!(printed.status.success(), "{}", printed.stderr);
    let printed: Value = serde_json::from_str(&printed.stdout).expect("the document is JSON");
    assert!(printed["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{printed}");
    let apex = Apex::builder().start().await;
    let (status, served) = apex.client().get("/openapi.json").await;
    assert!(status.is_success());
    assert_eq!(printed, served);
}

#[tokio::test]
async fn the_doctor_finds_a_fresh_installation_well_and_a_lost_redis_sick() {
    let well = command(&["doctor"], &[]).await;
    assert!(well.status.success(), "{}{}", well.stdout, well.stderr);
    for what in ["settings", "database", "redis", "telephone", "model"] {
        assert!(well.stdout.lines().any(|line| line.starts_with(&format!("ok    {what}"))), "{what}: {}", well.stdout);
    }
    let nobody = format!("redis://127.0.0.1:{}/", leftovers::free_port());
    let sick = command(&["doctor"], &[("REDIS_URL", &nobody)]).await;
    assert_eq!(sick.status.code(), Some(1), "{}", sick.stdout);
    assert!(sick.stdout.contains("FAIL  redis") && sick.stdout.contains("fix:"), "{}", sick.stdout);
}

#[tokio::test]
async fn migrate_makes_the_tables_and_prints_the_roles() {
    let roles = command(&["migrate", "--print-roles"], &[]).await;
    assert!(roles.status.success(), "{}", roles.stderr);
    for role in ["app_rt", "app_ingest", "app_worker", "app_auth", "app_migrator", "noinherit"] {
        assert!(roles.stdout.to_lowercase().contains(role), "{role}: {}", roles.stdout);
    }
    let server = Postgres::shared();
    let url = server.database();
    for _ in 0..2 {
        let migrated = command(&["migrate"], &[("DATABASE_URL", &url)]).await;
        assert!(migrated.status.success(), "{}", migrated.stderr);
    }
    let tables = server.query(&url, "select count(*) from pg_tables where schemaname = 'apex' and tablename = 'leads'");
    assert_eq!(tables, "1");
}

#[tokio::test]
async fn the_table_of_settings_names_every_variable_of_the_default_file() {
    let table = command(&["settings"], &[]).await;
    assert!(table.status.success(), "{}", table.stderr);
    for name in ["DATABASE_URL", "REDIS_URL", "APEX_BIND", "APEX_JWT_SECRET", "TWILIO_ACCOUNT_SID", "GOOGLE_API_KEY"] {
        assert!(table.stdout.contains(&format!("`{name}`")), "{name}: {}", table.stdout);
    }
}
