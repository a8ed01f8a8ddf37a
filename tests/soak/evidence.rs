//! What is kept of a run for whoever looks into it.

use std::path::Path;

use apex_tests::ordeal::Survivor;
use apex_tests::reckoning::Reckoning;
use serde_json::Value;

/// Writes the program's log, and the ledger and the journals of suspects if a promise was broken.
pub async fn keep(folder: &Path, store: &str, survivor: &Survivor, reckoning: &Reckoning) {
    write(folder, &format!("{store}.log"), &survivor.apex.stderr());
    if reckoning.broken.is_empty() {
        return;
    }
    write(folder, &format!("{store}.broken"), &reckoning.broken.join("\n"));
    let ledger = serde_json::to_string_pretty(&survivor.sandbox.ledger()).unwrap_or_default();
    write(folder, &format!("{store}.ledger.json"), &ledger);
    let mut journals = Vec::new();
    for ticket in &reckoning.suspects {
        journals.push(survivor.client.timeline(ticket).await);
    }
    write(folder, &format!("{store}.suspects.json"), &format!("{:#}", Value::Array(journals)));
}

fn write(folder: &Path, name: &str, text: &str) {
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(folder.join(name), text));
    if let Err(error) = written {
        super::say(&format!("{} could not be written: {error}", folder.join(name).display()));
    }
}
