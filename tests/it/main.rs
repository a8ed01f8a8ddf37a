//! Promises, each kept by the real program.

mod architecture;
mod callbacks;
mod configuration;
mod conformance;
mod crash;
mod database_faults;
mod demo;
mod health;
mod leads;
mod parity;
mod redis_faults;
mod refusals;
mod row_security;
mod rows;
mod scene;
mod shutdown;
mod speed_to_lead;
mod streams;
mod supervision;
mod tenancy;
mod tickets;
mod voice;
mod webhooks;
mod wordpress;
