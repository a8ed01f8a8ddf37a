//! One statement text for two databases, and queries that bind for either.

use std::borrow::Cow;
use std::time::Instant;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Encode, FromRow, Postgres, Sqlite, Transaction, Type};

use crate::error::StorageError;
use crate::reach::Reach;
use crate::room::Room;

/// A static statement in both dialects. Built by [`sql!`].
#[derive(Clone, Copy)]
pub struct Sql {
    pub(crate) postgres: &'static str,
    pub(crate) sqlite: &'static str,
    /// Whether both texts mention `$1`, the tenant.
    pub(crate) scoped: bool,
}

impl Sql {
    pub(crate) const fn new(postgres: &'static str, sqlite: &'static str) -> Self {
        Self { postgres, sqlite, scoped: mentions_first(postgres) && mentions_first(sqlite) }
    }
}

/// A statement: `sql!("common text" pg "for update" lite "" "more common text")`.
macro_rules! sql {
    (@ [$($p:literal)*] [$($l:literal)*]) => {
        const { $crate::sql::Sql::new(concat!($($p, " "),*), concat!($($l, " "),*)) }
    };
    (@ [$($p:literal)*] [$($l:literal)*] pg $x:literal $($r:tt)*) => { $crate::sql::sql!(@ [$($p)* $x] [$($l)*] $($r)*) };
    (@ [$($p:literal)*] [$($l:literal)*] lite $x:literal $($r:tt)*) => { $crate::sql::sql!(@ [$($p)*] [$($l)* $x] $($r)*) };
    (@ [$($p:literal)*] [$($l:literal)*] $x:literal $($r:tt)*) => { $crate::sql::sql!(@ [$($p)* $x] [$($l)* $x] $($r)*) };
    ($($t:tt)+) => { $crate::sql::sql!(@ [] [] $($t)+) };
}
pub(crate) use sql;

const fn mentions_first(text: &str) -> bool {
    let (bytes, mut i) = (text.as_bytes(), 0);
    while i + 1 < bytes.len() {
        if bytes[i] == b'$' && bytes[i + 1] == b'1' && (i + 2 == bytes.len() || !bytes[i + 2].is_ascii_digit()) {
            return true;
        }
        i += 1;
    }
    false
}

/// What can be bound on both databases.
pub trait Value<'q>: Encode<'q, Postgres> + Type<Postgres> + Encode<'q, Sqlite> + Type<Sqlite> {}
impl<'q, T: Encode<'q, Postgres> + Type<Postgres> + Encode<'q, Sqlite> + Type<Sqlite>> Value<'q> for T {}

/// What can be read on both databases.
pub trait Record: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}
impl<T: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin> Record for T {}

/// An open transaction on either database. Dropped without `commit` it is rolled back.
pub(crate) struct Conn {
    tx: Tx,
    health: Health,
}

/// The transaction itself.
pub(crate) enum Tx {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

/// What is known about the database besides its rows. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Health {
    /// `None`: a file is always there.
    pub reach: Option<Reach>,
    pub room: Room,
}

impl Health {
    /// Does something with the database, and learns from how it ends.
    pub async fn watched<T>(&self, work: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
        let work = Box::pin(work); // it stands in every future of the program that asks the database
        let answer = match &self.reach {
            Some(reach) => reach.unless_away(work).await,
            None => work.await,
        };
        self.room.note(&answer, Instant::now());
        answer
    }
}

impl Conn {
    pub fn new(tx: Tx, health: Health) -> Self {
        Self { tx, health }
    }

    pub fn query(&mut self, sql: Sql) -> Query<'_> {
        let (text, target) = match &mut self.tx {
            Tx::Postgres(tx) => (sql.postgres, Target::Postgres(tx, PgArguments::default())),
            Tx::Sqlite(tx) => (sql.sqlite, Target::Sqlite(tx, SqliteArguments::default())),
        };
        Query { text: text.into(), target, health: &self.health, bound: 0, failed: None }
    }

    pub async fn commit(self) -> Result<(), StorageError> {
        let Self { tx, health } = self;
        let commit = async {
            match tx {
                Tx::Postgres(tx) => tx.commit().await?,
                Tx::Sqlite(tx) => tx.commit().await?,
            }
            Ok(())
        };
        health.watched(commit).await
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self.tx, Tx::Postgres(_))
    }
}

enum Target<'t> {
    Postgres(&'t mut Transaction<'static, Postgres>, PgArguments),
    Sqlite(&'t mut Transaction<'static, Sqlite>, SqliteArguments),
}

/// A statement with its values.
#[must_use]
pub struct Query<'t> {
    text: Cow<'static, str>,
    target: Target<'t>,
    health: &'t Health,
    bound: usize,
    failed: Option<sqlx::Error>,
}

macro_rules! run {
    ($query:expr, |$conn:ident, $text:ident, $args:ident| $run:expr) => {{
        let query = $query;
        if let Some(error) = query.failed {
            return Err(error.into());
        }
        let $text = AssertSqlSafe(query.text); // only ever made of &'static str pieces: see `push`
        let work = async {
            match query.target {
                Target::Postgres(tx, $args) => {
                    let $conn = &mut **tx;
                    $run
                }
                Target::Sqlite(tx, $args) => {
                    let $conn = &mut **tx;
                    $run
                }
            }
        };
        query.health.watched(work).await
    }};
}

impl Query<'_> {
    /// Binds the next value.
    pub fn bind<'q>(mut self, value: impl Value<'q>) -> Self {
        self.bound += 1;
        let added = match &mut self.target {
            Target::Postgres(_, args) => args.add(value),
            Target::Sqlite(_, args) => args.add(value),
        };
        if let Err(error) = added {
            self.failed.get_or_insert(sqlx::Error::Encode(error));
        }
        self
    }

    /// Appends static text; each `$?` in it stands for the next value that is bound.
    pub fn push(mut self, text: &'static str) -> Self {
        let whole = self.text.to_mut();
        for (i, part) in text.split("$?").enumerate() {
            if i > 0 {
                whole.push('$');
                whole.push_str(&(self.bound + i).to_string());
            }
            whole.push_str(part);
        }
        self
    }

    /// An optional filter: nothing is appended when there is no value.
    pub fn and<'q, V: Value<'q>>(self, text: &'static str, value: Option<V>) -> Self {
        match value {
            Some(value) => self.push(text).bind(value),
            None => self,
        }
    }

    /// Every row.
    pub async fn all<T: Record>(self) -> Result<Vec<T>, StorageError> {
        run!(self, |conn, text, args| Ok(sqlx::query_as_with(text, args).fetch_all(conn).await?))
    }

    /// The row, if there is one.
    pub async fn optional<T: Record>(self) -> Result<Option<T>, StorageError> {
        run!(self, |conn, text, args| Ok(sqlx::query_as_with(text, args).fetch_optional(conn).await?))
    }

    /// The one row.
    pub async fn one<T: Record>(self) -> Result<T, StorageError> {
        self.optional().await?.ok_or(StorageError::Database(sqlx::Error::RowNotFound))
    }

    /// Runs it; the number of rows that changed.
    pub async fn execute(self) -> Result<u64, StorageError> {
        run!(self, |conn, text, args| Ok(sqlx::query_with(text, args).execute(conn).await?.rows_affected()))
    }
}
