//! `apex migrate`: brings the database up to date, and does nothing else.

use std::process::ExitCode;

use apex_config::Config;

use crate::app;
use crate::commands::block_on;
use crate::data_dir::DataDir;

/// Opens the database, which migrates it.
pub(crate) fn run(config: Config) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let data_dir = DataDir::lock(&config.data_dir)?;
        let store = app::open_store(&config, &data_dir).await?;
        store.close().await;
        println!("the database is up to date");
        Ok(ExitCode::SUCCESS)
    })
}
