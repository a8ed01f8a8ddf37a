//! Commands that only print.

use std::process::ExitCode;

use apex_storage::LOGIN_RECIPE;
use apex_storage::fault::Fault;

/// The OpenAPI document.
pub(crate) fn openapi() -> anyhow::Result<ExitCode> {
    println!("{}", apex_http::openapi().to_pretty_json()?);
    Ok(ExitCode::SUCCESS)
}

/// The fault points, one a line.
pub(crate) fn faults() -> ExitCode {
    for fault in Fault::ALL {
        println!("{fault}");
    }
    ExitCode::SUCCESS
}

/// The settings, as a table.
pub(crate) fn settings() -> ExitCode {
    print!("{}", apex_config::keys::markdown());
    ExitCode::SUCCESS
}

/// The SQL for a login that may not create roles itself.
pub(crate) fn roles() -> ExitCode {
    println!("-- Run as a database administrator. The login must inherit nothing: row security rests on it.");
    println!("{LOGIN_RECIPE}");
    println!("-- Where the login may not create roles (no CREATEROLE), make them for it:");
    for role in ["app_rt", "app_ingest", "app_worker", "app_auth", "app_migrator"] {
        println!("create role {role} nologin noinherit; grant {role} to apex_login;");
    }
    ExitCode::SUCCESS
}
