//! A look at rows that no endpoint shows, past row-level security.

use std::str::FromStr;

use apex_tests::wait::PATIENCE;
use apex_tests::{Apex, Postgres};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// The only number that a query answers; both databases must understand the text.
pub(crate) async fn number(apex: &Apex, sql: &str) -> i64 {
    if let Some(url) = apex.database_url() {
        let server = Postgres::shared();
        let answer = server.query(&server.superuser(url), &format!("set search_path to apex; {sql}"));
        return answer.parse().unwrap_or_else(|error| panic!("{sql}: {answer:?} {error}"));
    }
    let file = apex.data_dir().join("apex.db");
    let options = SqliteConnectOptions::from_str("sqlite:").expect("a constant").filename(file).read_only(true);
    let mut connection = options.connect().await.expect("the program's database");
    let row: Result<(i64,), _> = sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await;
    connection.close().await.expect("our own connection");
    row.unwrap_or_else(|error| panic!("{sql}: {error}")).0
}

/// Changes rows behind the program's back; both databases must understand the text.
pub(crate) async fn change(apex: &Apex, sql: &str) {
    if let Some(url) = apex.database_url() {
        let server = Postgres::shared();
        server.query(&server.superuser(url), &format!("set search_path to apex; {sql}"));
        return;
    }
    let file = apex.data_dir().join("apex.db");
    let options = SqliteConnectOptions::from_str("sqlite:").expect("a constant").filename(file).busy_timeout(PATIENCE);
    let mut connection = options.connect().await.expect("the program's database");
    let changed = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await;
    connection.close().await.expect("our own connection");
    changed.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
