//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::commands::effects::EffectsCommand;

/// Exit status when the settings are wrong: nothing was started.
const WRONG_SETTINGS: u8 = 2;

/// How `apex effects` is used after an incident.
const EXAMPLES: &str = "Examples, after `apex serve --hold-effects`:
  apex effects list
  apex effects cancel --older-than 12h
  apex effects release --project kereru --kind call
  apex effects release --all";

/// Revenue backend for service businesses: a form comes in, the owner's phone rings, one key press connects both.
#[derive(Debug, Parser)]
#[command(name = "apex", version, about, propagate_version = true)]
pub struct Cli {
    /// A settings file; without it, `apex.toml` in the current folder is read when it is there. The environment wins.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve {
        /// Let no call and no message leave until a person releases it: leads are accepted, and wait. For a start after an
        /// incident; `apex effects` shows what waits. The same as `APEX_HOLD_EFFECTS=true`.
        #[arg(long)]
        hold_effects: bool,
    },
    /// Shows calls and messages that have not left, and releases or cancels them.
    ///
    /// Works on the database of the settings, beside a running server or without one.
    #[command(subcommand, after_help = EXAMPLES)]
    Effects(EffectsCommand),
    /// Shows the whole main job on the sandbox, in under half a minute: from a form to the CRM entry.
    Demo {
        /// Leave everything running afterwards, and print what to open.
        #[arg(long)]
        keep: bool,
    },
    /// Plays the outside: phones, people and a language model on their real wire formats.
    Sandbox {
        /// Where it listens.
        #[arg(long, default_value = "127.0.0.1:9100")]
        bind: SocketAddr,
        /// How fast people are.
        #[arg(long, value_enum, default_value_t = Pace::Human)]
        pace: Pace,
    },
    /// Brings the database up to date.
    Migrate {
        /// Only print the SQL that makes a login and its roles, for a database administrator.
        #[arg(long)]
        print_roles: bool,
    },
    /// Checks settings, database, Redis, telephone, language model and disk, and says how to mend what is broken.
    Doctor,
    /// Prints the OpenAPI document.
    Openapi,
    /// Lists the points where tests can make the program panic, stall or die.
    #[command(hide = true)]
    Faults,
    /// Prints the table of settings.
    #[command(hide = true)]
    Settings,
}

/// How fast the sandbox's people are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// They answer at once: for tests.
    Instant,
    /// They take their time: to watch.
    Human,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("apex: {error:#}");
            if error.is::<apex_config::Problems>() { ExitCode::from(WRONG_SETTINGS) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let file = cli.config.or_else(|| Some(PathBuf::from("apex.toml")).filter(|file| file.exists()));
    match cli.command {
        Command::Openapi => commands::print::openapi(),
        Command::Faults => Ok(commands::print::faults()),
        Command::Settings => Ok(commands::print::settings()),
        Command::Migrate { print_roles: true } => Ok(commands::print::roles()),
        Command::Sandbox { bind, pace } => commands::sandbox::run(bind, pace),
        Command::Demo { keep } => commands::demo::run(keep),
        Command::Serve { hold_effects } => {
            commands::serve::run(apex_config::load_process(file.as_deref())?, hold_effects)
        }
        Command::Effects(command) => commands::effects::run(&apex_config::load_process(file.as_deref())?, command),
        Command::Doctor => commands::doctor::run(apex_config::load_process(file.as_deref())?),
        Command::Migrate { print_roles: false } => commands::migrate::run(apex_config::load_process(file.as_deref())?),
    }
}
