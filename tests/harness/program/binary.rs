//! Where the binary lies, built once per test process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::leftovers;

/// The `apex` binary beside the test executable, of the same profile. Cargo brings it up to date first, unless
/// `APEX_TEST_SKIP_BUILD` says that this has been done.
pub(super) fn path() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let own = std::env::current_exe().expect("a running test has a file");
        let profile = profile(&own);
        if leftovers::setting("APEX_TEST_SKIP_BUILD").is_none() {
            build(&profile);
        }
        let binary = profile.join("apex");
        assert!(binary.is_file(), "there is no {}: cargo build -p apex-runtime --bin apex", binary.display());
        binary
    })
}

/// `target/PROFILE` of a test (`target/PROFILE/deps/test`) or of a program (`target/PROFILE/program`).
fn profile(own: &Path) -> PathBuf {
    let folder = own.parent().expect("a file lies in a folder");
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    profile.expect("target/PROFILE").to_path_buf()
}

fn build(profile: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", "apex-runtime", "--bin", "apex"]).arg("--target-dir");
    cargo.arg(profile.parent().expect("target/PROFILE")).current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "the program does not build:\n{}", String::from_utf8_lossy(&output.stderr));
}
