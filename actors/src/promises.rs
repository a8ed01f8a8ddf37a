//! The promises of the tree, one test each, on real rows.

mod clockwork;
mod failures;
mod life;
mod ractor_facts;
#[path = "../tests/stage/world.rs"]
mod stage;
mod worker;

use std::sync::Arc;

use apex_storage::model::ProjectId;
use serde_json::Value;

use crate::directory::Directory;
use crate::error::ActorError;
use crate::handle::ProjectHandle;
use crate::kind::ActorKind;
use crate::project::{ChildView, TreeView};
use crate::request::Request;
use crate::world::Rules;
use stage::{Stage, quick, until};

/// A stage, and a directory whose workers play scripts.
async fn open(rules: Rules) -> (Stage, Directory) {
    let stage = Stage::new(rules).await;
    let directory = again(&stage).await;
    (stage, directory)
}

/// Another directory on the same rows.
async fn again(stage: &Stage) -> Directory {
    Directory::open_with(Arc::clone(&stage.world), Arc::clone(&stage.node), worker::crew()).await.expect("a directory")
}

async fn log_usage(project: &ProjectHandle, key: u64) -> Result<Value, ActorError> {
    let (resource, key) = ("twilio_sms".to_owned(), Some(key.to_string()));
    project.ask(Request::LogUsage { resource, quantity_milli: 1000, key }).await
}

async fn check_health(project: &ProjectHandle) -> Result<Value, ActorError> {
    project.ask(Request::HealthCheck).await
}

async fn tree(project: &ProjectHandle) -> TreeView {
    project.tree().await.expect("a view")
}

async fn child(project: &ProjectHandle, kind: ActorKind) -> ChildView {
    tree(project).await.child(kind).expect("every kind").clone()
}

/// Whether a request was answered, with whatever.
fn is_answer(answer: &Result<Value, ActorError>) -> bool {
    matches!(answer, Ok(_) | Err(ActorError::Refused(_)))
}

async fn hunt(project: &ProjectHandle) -> Result<Value, ActorError> {
    project.ask(Request::Hunt { params: Value::Null }).await
}

/// How many uses were logged.
async fn logged(stage: &Stage, project: ProjectId) -> i64 {
    let mut tx = stage.world.store.tenant_read(stage.org).await.expect("a transaction");
    let since = chrono::DateTime::UNIX_EPOCH;
    tx.spend(project, since).await.expect("spending").iter().map(|spend| spend.quantity_milli).sum::<i64>() / 1000
}
