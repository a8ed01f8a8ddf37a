//! Composition root: settings in, a running Apex out. Everything else is wired here and nowhere else.

pub mod app;
mod banner;
pub mod cli;
mod commands;
mod data_dir;
mod lifecycle;
mod outside;
mod planted;
pub mod providers;
mod serve;
mod telemetry;
