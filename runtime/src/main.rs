//! The `apex` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    apex_runtime::cli::main()
}
