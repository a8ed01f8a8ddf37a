//! No method of the store is forgotten by this suite.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Files, with the folders beside them, that others than the store's callers use, or that hold no rows.
const ELSEWHERE: [&str; 6] = ["blob.rs", "fault.rs", "mirror.rs", "reach.rs", "room.rs", "sql.rs"];

/// The sources of a folder and of the folders in it, without those that are elsewhere.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder of sources");
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        let elsewhere = path.with_extension("rs");
        let elsewhere = elsewhere.file_name().is_some_and(|name| ELSEWHERE.iter().any(|other| name == *other));
        if path.is_dir() && !elsewhere {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !elsewhere {
            files.push(path);
        }
    }
    files
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a source file")
}

/// The public methods that wait for the database, and those that make one.
fn promised(source: &str) -> BTreeSet<&str> {
    let methods = source.lines().filter_map(|line| line.trim_start().strip_prefix("pub async fn "));
    methods.filter_map(|rest| rest.split(['(', '<']).next()).collect()
}

#[test]
fn every_method_of_the_store_is_called_by_the_suite() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let suite: String = rust_files(&tests.join("it/conformance")).iter().map(|path| text(path)).collect();
    let (mut known, mut forgotten) = (0, Vec::new());
    for path in rust_files(&tests.join("../storage/src")) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        for method in promised(&text(&path)) {
            known += 1;
            if ![format!(".{method}("), format!("Store::{method}(")].iter().any(|call| suite.contains(call)) {
                forgotten.push(format!("{name}: {method}"));
            }
        }
    }
    assert!(known > 60, "the methods were not found");
    assert!(forgotten.is_empty(), "no test calls:\n  {}", forgotten.join("\n  "));
}
