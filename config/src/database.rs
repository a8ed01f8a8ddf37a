//! Where rows are kept.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

use crate::{
    problem::{Checked, Fault},
    source::Source,
};

/// The database and its pool.
#[derive(Clone, Debug)]
pub struct Database {
    /// Which database.
    pub url: DatabaseUrl,
    /// Connections of the pool.
    pub max_connections: u32,
    /// Largest size of a `SQLite` file in megabytes; `None`: as large as the disk allows.
    pub max_megabytes: Option<u32>,
}

/// One of the two databases that can hold the rows.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A `PostgreSQL` server; the text holds the password.
    Postgres(SecretString),
}

impl DatabaseUrl {
    /// Whether several nodes can share it.
    pub fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

impl Database {
    pub(crate) fn read(source: &mut Source<'_>, data_dir: &Path) -> Self {
        Self {
            url: source
                .checked("database.url", database_url)
                .unwrap_or_else(|| DatabaseUrl::Sqlite(data_dir.join("apex.db"))),
            max_connections: source.count("database.max_connections", 2..=1000),
            max_megabytes: Some(source.count("database.max_megabytes", 0..=1 << 24)).filter(|size| *size > 0),
        }
    }
}

fn database_url(text: &str) -> Checked<DatabaseUrl> {
    const FORMS: &str = "write postgresql://user:password@host:5432/name or sqlite:folder/apex.db";
    if let Some(path) = text.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains('?') || path.contains(":memory:") {
            return Err(Fault::new("is not a path of a SQLite file", FORMS));
        }
        return Ok(DatabaseUrl::Sqlite(PathBuf::from(path)));
    }
    let url = Url::parse(text).map_err(|error| Fault::new(format!("is not a URL ({error})"), FORMS))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(Fault::new("names a database that is neither PostgreSQL nor SQLite", FORMS));
    }
    // A socket's folder stands in the query: postgresql:///name?host=/run/postgresql.
    let has_host =
        url.host_str().is_some_and(|host| !host.is_empty()) || url.query_pairs().any(|(key, _)| key == "host");
    if !has_host {
        return Err(Fault::new("names no host", FORMS));
    }
    Ok(DatabaseUrl::Postgres(SecretString::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_both_databases_are_read() {
        for text in ["sqlite:data/x.db", "sqlite://data/x.db"] {
            assert!(matches!(database_url(text), Ok(DatabaseUrl::Sqlite(path)) if path == Path::new("data/x.db")));
        }
        assert!(
            matches!(database_url("sqlite:///var/x.db"), Ok(DatabaseUrl::Sqlite(p)) if p == Path::new("/var/x.db"))
        );
        for text in ["postgres://u:p@h/n", "postgresql://u:p@h:5432/n", "postgresql:///n?host=/run/postgresql"] {
            assert!(database_url(text).is_ok_and(|url| url.is_postgres()), "{text}");
        }
    }

    #[test]
    fn other_databases_and_memory_are_refused() {
        for text in ["mysql://h/n", "sqlite:", "sqlite::memory:", "sqlite:x.db?mode=rwc", "postgres://", "apex.db"] {
            assert!(database_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_password_does_not_print() {
        let url = database_url("postgres://u:hunter2@h/n").unwrap();
        assert!(!format!("{url:?}").contains("hunter2"));
    }
}
