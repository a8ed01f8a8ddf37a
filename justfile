# Short names for what is done often. Everything here works without just as well.

# Shows this list.
default:
    @just --list

# The whole main job on the sandbox.
demo:
    cargo run --release -- demo

# Every check and every test, as the build server runs them.
test:
    tests/run

# Quick look while writing: one crate, for example `just check http`.
check crate:
    cargo clippy -p apex-{{crate}} --all-targets -- -D warnings
    cargo test -p apex-{{crate}}

# Formats the code.
format:
    cargo fmt --all

# Licences, advisories and sources of the dependencies (needs cargo-deny).
deny:
    cargo deny check
