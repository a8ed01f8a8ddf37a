//! One file per command.

pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod effects;
pub(crate) mod migrate;
pub(crate) mod print;
pub(crate) mod sandbox;
pub(crate) mod serve;

use std::future::Future;

/// Runs a command's work on a runtime of its own.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
