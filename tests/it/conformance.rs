//! One suite that both databases must pass: what every method of the store promises, with two tenants in one database.
//!
//! Each file holds the promises of one aggregate as plain functions, named once more in [`conformance!`], which runs each
//! of them on `SQLite` and on Postgres. Whatever one tenant may do with its ids, the other tries with the same ids.

/// Makes two tests of each promise, one for each database.
macro_rules! conformance {
    ($($promise:ident,)+) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $promise() -> anyhow::Result<()> {
                super::$promise($crate::conformance::tenants::TwoTenants::on_sqlite().await?).await
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $promise() -> anyhow::Result<()> {
                super::$promise($crate::conformance::tenants::TwoTenants::on_postgres().await?).await
            })+
        }
    };
}

mod api_keys;
mod audit;
mod bridges;
mod call_inbox;
mod completeness;
mod contacts;
pub(crate) mod databases;
mod dead_letters;
mod duties;
mod effects;
mod events;
mod fences;
mod idempotency;
mod identity;
mod intake;
mod journal;
mod leads;
mod ledger;
mod parked;
mod placement;
mod projects;
mod promises;
mod retries;
mod routes;
mod rows;
mod schedules;
mod sweeps;
pub(crate) mod tenants;
mod tickets;
mod transactions;
mod verdicts;
