//! Both databases have the same shape: what one refuses, the other refuses too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use apex_storage::TABLES;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, SqliteConnection};

use crate::conformance::databases;

/// One table as both databases can tell it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shape {
    /// Name to kind, with whether it may be null and whether it has a default.
    columns: BTreeMap<String, (String, bool, bool)>,
    primary_key: Vec<String>,
    unique: BTreeSet<Vec<String>>,
    /// Own columns, the table they point at, its columns.
    foreign: BTreeSet<(Vec<String>, String, Vec<String>)>,
    /// Name to columns, with whether it is unique and whether it covers some rows only.
    indexes: BTreeMap<String, (Vec<String>, bool, bool)>,
}

type Shapes = BTreeMap<String, Shape>;
/// Table, what kind of key, its columns, and for a reference the other table and its columns.
type PgKey = (String, String, String, Option<String>, Option<String>);

/// A list in one column: names that hold no comma.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

/// How a Postgres type is kept in a file.
fn kind(postgres: &str) -> &'static str {
    match postgres {
        "uuid" | "bytea" => "BLOB",
        "text" | "timestamp with time zone" | "jsonb" => "TEXT",
        "bigint" | "boolean" => "INTEGER",
        _ => "no counterpart",
    }
}

async fn of_postgres(server: &mut PgConnection) -> Result<Shapes> {
    let mut shapes = Shapes::new();
    let columns: Vec<(String, String, String, bool, bool)> = sqlx::query_as(
        "select c.relname::text, a.attname::text, format_type(a.atttypid, null), not a.attnotnull, a.atthasdef
           from pg_class c join pg_attribute a on a.attrelid = c.oid
          where c.relnamespace = 'apex'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0
            and not a.attisdropped and c.relname <> '_sqlx_migrations'",
    )
    .fetch_all(&mut *server)
    .await?;
    for (table, column, type_name, nullable, default) in columns {
        let shape = shapes.entry(table).or_default();
        shape.columns.insert(column, (kind(&type_name).to_owned(), nullable, default));
    }
    let keys: Vec<PgKey> = sqlx::query_as(
        "select c.relname::text, k.contype::text, pg_temp.names(k.conrelid, k.conkey), f.relname::text,
                pg_temp.names(k.confrelid, k.confkey)
           from pg_constraint k join pg_class c on c.oid = k.conrelid left join pg_class f on f.oid = k.confrelid
          where k.connamespace = 'apex'::regnamespace and k.contype in ('p', 'u', 'f') and c.relname <> '_sqlx_migrations'",
    )
    .fetch_all(&mut *server)
    .await?;
    for (table, key, columns, target, target_columns) in keys {
        let (shape, columns) = (shapes.entry(table).or_default(), list(&columns));
        match (key.as_str(), target) {
            ("p", _) => shape.primary_key = columns,
            ("f", Some(target)) => {
                shape.foreign.insert((columns, target, list(&target_columns.unwrap_or_default())));
            }
            _ => {
                shape.unique.insert(columns);
            }
        }
    }
    indexes_of_postgres(server, &mut shapes).await?;
    Ok(shapes)
}

/// Without the indexes behind keys, and without columns that an index only carries along.
async fn indexes_of_postgres(server: &mut PgConnection, shapes: &mut Shapes) -> Result<()> {
    let indexes: Vec<(String, String, String, bool, bool)> = sqlx::query_as(
        "select c.relname::text, i.relname::text,
                (select string_agg(pg_get_indexdef(x.indexrelid, n, false) ||
                                   case when pg_index_column_has_property(x.indexrelid, n, 'desc') then ' desc' else '' end,
                                   ',' order by n)
                   from generate_series(1, x.indnkeyatts) n),
                x.indisunique, x.indpred is not null
           from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid
          where c.relnamespace = 'apex'::regnamespace and c.relname <> '_sqlx_migrations'
            and not exists (select from pg_constraint k where k.conindid = x.indexrelid)",
    )
    .fetch_all(&mut *server)
    .await?;
    for (table, index, columns, unique, partial) in indexes {
        shapes.entry(table).or_default().indexes.insert(index, (list(&columns.replace('"', "")), unique, partial));
    }
    Ok(())
}

async fn of_sqlite(file: &mut SqliteConnection) -> Result<Shapes> {
    let mut shapes = Shapes::new();
    let columns: Vec<(String, String, String, bool, bool, i64)> = sqlx::query_as(
        "select t.name, c.name, c.type, not c.\"notnull\", c.dflt_value is not null, c.pk
           from sqlite_master t join pragma_table_info(t.name) c
          where t.type = 'table' and t.name not like 'sqlite\\_%' escape '\\' and t.name <> '_sqlx_migrations'
          order by t.name, c.pk",
    )
    .fetch_all(&mut *file)
    .await?;
    for (table, column, type_name, nullable, default, place_in_key) in columns {
        let shape = shapes.entry(table).or_default();
        if place_in_key > 0 {
            shape.primary_key.push(column.clone());
        }
        shape.columns.insert(column, (type_name, nullable, default));
    }
    for (table, shape) in &mut shapes {
        let foreign: Vec<(String, String, String)> = sqlx::query_as(
            "select group_concat(\"from\"), \"table\", group_concat(\"to\")
               from (select * from pragma_foreign_key_list($1) order by id, seq) group by id, \"table\"",
        )
        .bind(table)
        .fetch_all(&mut *file)
        .await?;
        let keys = foreign.into_iter().map(|(own, target, columns)| (list(&own), target, list(&columns)));
        shape.foreign = keys.collect();
        indexes_of_sqlite(file, table, shape).await?;
    }
    Ok(shapes)
}

async fn indexes_of_sqlite(file: &mut SqliteConnection, table: &str, shape: &mut Shape) -> Result<()> {
    let indexes: Vec<(String, bool, String, bool, String)> = sqlx::query_as(
        "select l.name, l.\"unique\", l.origin, l.partial,
                (select group_concat(name || case when \"desc\" then ' desc' else '' end)
                   from (select * from pragma_index_xinfo(l.name) where key order by seqno))
           from pragma_index_list($1) l where l.origin <> 'pk'",
    )
    .bind(table)
    .fetch_all(&mut *file)
    .await?;
    for (name, unique, origin, partial, columns) in indexes {
        if origin == "u" {
            shape.unique.insert(list(&columns));
        } else {
            shape.indexes.insert(name, (list(&columns), unique, partial));
        }
    }
    Ok(())
}

/// A function of this session that turns column numbers into names.
const NAMES: &str = "create function pg_temp.names(t oid, numbers smallint[]) returns text language sql as
    $$ select string_agg(a.attname, ',' order by n) from unnest(numbers) with ordinality u(number, n)
         join pg_attribute a on a.attrelid = t and a.attnum = u.number $$";

async fn both() -> Result<(Shapes, Shapes)> {
    let mut server = databases::superuser(&databases::migrated().await?).await?;
    sqlx::raw_sql(NAMES).execute(&mut server).await?;
    let postgres = of_postgres(&mut server).await?;
    server.close().await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("apex.db");
    databases::open_file(&path).await?.close().await;
    let mut file = SqliteConnectOptions::new().filename(&path).read_only(true).connect().await?;
    let sqlite = of_sqlite(&mut file).await?;
    file.close().await?;
    Ok((postgres, sqlite))
}

#[tokio::test]
async fn both_databases_have_the_same_tables_columns_keys_and_indexes() -> Result<()> {
    let (postgres, sqlite) = both().await?;
    let listed: BTreeSet<_> = TABLES.iter().map(|table| table.name.to_owned()).collect();
    assert_eq!(listed.len(), TABLES.len(), "each table has one class");
    assert_eq!(postgres.keys().cloned().collect::<BTreeSet<_>>(), listed);
    assert_eq!(sqlite.keys().cloned().collect::<BTreeSet<_>>(), listed);
    for (table, shape) in &postgres {
        assert_eq!(Some(shape), sqlite.get(table), "{table}: Postgres left, SQLite right");
    }
    Ok(())
}

/// Guards the comparison itself: two empty answers are equal too.
#[tokio::test]
async fn the_comparison_sees_what_is_there() -> Result<()> {
    let (postgres, sqlite) = both().await?;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for shapes in [postgres, sqlite] {
        let effects = &shapes["effects"];
        assert_eq!(effects.primary_key, names(&["id"]));
        assert_eq!(effects.columns["sid"], ("TEXT".to_owned(), true, false));
        assert_eq!(effects.columns["created_at"], ("TEXT".to_owned(), false, false));
        assert!(effects.unique.contains(&names(&["project_id", "key"])));
        let project = (names(&["project_id", "org_id"]), "projects".to_owned(), names(&["id", "org_id"]));
        assert!(effects.foreign.contains(&project));
        assert_eq!(effects.indexes["effects_one_unclear"], (names(&["account", "to_number", "kind"]), true, true));
        let page = names(&["org_id", "project_id", "created_at desc", "id desc"]);
        assert_eq!(shapes["leads"].indexes["leads_page"], (page, false, false));
        assert_eq!(shapes["ticket_events"].primary_key, names(&["ticket_id", "seq"]));
        assert_eq!(shapes["leads"].columns["is_test"], ("INTEGER".to_owned(), false, true));
    }
    Ok(())
}

#[test]
fn both_folders_have_the_same_migrations() {
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../storage/migrations");
    let names = |database: &str| -> BTreeSet<_> {
        let entries = std::fs::read_dir(migrations.join(database)).expect("a folder of migrations");
        entries.map(|entry| entry.expect("an entry").file_name()).collect()
    };
    assert!(!names("postgres").is_empty());
    assert_eq!(names("postgres"), names("sqlite"));
}
