//! The sentinel: knows whether everything that the project needs works.

use std::path::Path;
use std::time::{Duration, Instant};

use apex_config::dna;
use apex_storage::{BrokenPromise, StorageError};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::{Value, json};

use crate::context::timestamp;
use crate::error::ActorError;
use crate::metrics::Handling;
use crate::ports::PortError;
use crate::project::{ChildArgs, Envelope};
use crate::watch::{self, CALLED_TWICE};

/// How long an answer is given again.
const FRESH: Duration = Duration::from_secs(10);
/// How long the phone provider may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Free disk space below which is warned when the project's DNA cannot be read: 1 GB.
const DISK_THRESHOLD: u64 = 1_000_000_000;

pub(crate) struct SentinelActor;

/// The last answer may be up to [`FRESH`] old.
pub(crate) struct SentinelState {
    args: ChildArgs,
    last: Option<(Instant, Value)>,
}

impl Actor for SentinelActor {
    type Msg = Envelope;
    type State = SentinelState;
    type Arguments = ChildArgs;

    async fn pre_start(&self, _: ActorRef<Envelope>, args: ChildArgs) -> Result<SentinelState, ActorProcessingErr> {
        Ok(SentinelState { args, last: None })
    }

    async fn handle(
        &self,
        _: ActorRef<Envelope>,
        envelope: Envelope,
        state: &mut SentinelState,
    ) -> Result<(), ActorProcessingErr> {
        let _handling = Handling::of("sentinel", envelope.request.name());
        let answer: Result<Value, ActorError> = Ok(Box::pin(state.health()).await);
        envelope.answer(answer);
        Ok(())
    }
}

/// What was looked at.
struct Findings {
    database: Result<Duration, StorageError>,
    telephony: Result<(), PortError>,
    has_llm: bool,
    /// Bytes; `None`: it cannot be told.
    disk_free: Option<u64>,
    disk_threshold: u64,
    /// The longest broken first.
    promises: Result<Vec<BrokenPromise>, StorageError>,
}

impl SentinelState {
    async fn health(&mut self) -> Value {
        let clock = self.args.world.store.clock();
        match &self.last {
            Some((at, answer)) if clock.monotonic().saturating_duration_since(*at) < FRESH => answer.clone(),
            _ => {
                let mut answer = Box::pin(self.look()).await.answer();
                answer["checked_at"] = json!(timestamp(clock.now()));
                self.last = Some((clock.monotonic(), answer.clone()));
                answer
            }
        }
    }

    async fn look(&self) -> Findings {
        let world = &self.args.world;
        let (database, telephony, disk_threshold, promises) =
            tokio::join!(self.ping(), self.ring_up(), self.disk_threshold(), self.broken_promises());
        Findings {
            database,
            telephony,
            has_llm: world.ports.llm.is_configured(),
            disk_free: disk_free(&world.data_dir),
            disk_threshold: disk_threshold.unwrap_or(DISK_THRESHOLD),
            promises,
        }
    }

    async fn ping(&self) -> Result<Duration, StorageError> {
        let begun = Instant::now();
        self.args.world.store.ping().await?;
        Ok(begun.elapsed())
    }

    async fn ring_up(&self) -> Result<(), PortError> {
        tokio::time::timeout(PATIENCE, self.args.world.ports.telephony.check())
            .await
            .unwrap_or_else(|_| Err(PortError::Transient(format!("no answer in {} s", PATIENCE.as_secs()))))
    }

    async fn broken_promises(&self) -> Result<Vec<BrokenPromise>, StorageError> {
        let (world, lease) = (&self.args.world, &self.args.lease);
        let mut tx = world.store.tenant_read(lease.org).await?;
        tx.broken_promises_of(lease.project, &watch::bounds(&world.rules)).await
    }

    async fn disk_threshold(&self) -> Option<u64> {
        let mut tx = self.args.world.store.tenant_read(self.args.lease.org).await.ok()?;
        let project = tx.project(self.args.lease.project).await.ok()??;
        let dna = dna::resolve(&project.dna_generated, &project.dna_custom).ok()?;
        Some(dna.modules.system_ops.health_check.disk_space_threshold_bytes)
    }
}

impl Findings {
    /// Without a language model calls are analysed by rules, so a missing one is told but is not critical. A broken promise
    /// waits for somebody to look, unless it is the one that can never be made good.
    fn answer(&self) -> Value {
        let (database_ok, twilio_ok) = (self.database.is_ok(), self.telephony.is_ok());
        let disk_space_ok = self.disk_free.is_none_or(|free| free >= self.disk_threshold);
        // A refusal is an answer, too: it came over the internet.
        let internet_ok = matches!(self.telephony, Ok(()) | Err(PortError::Permanent(_)));
        let broken = self.promises.as_deref().unwrap_or_default();
        let called_twice = broken.iter().any(|promise| promise.kind == CALLED_TWICE);
        let is_healthy = database_ok && twilio_ok && disk_space_ok && !called_twice;
        json!({
            "status": if is_healthy { "healthy" } else { "critical" },
            "database_ok": database_ok,
            "twilio_ok": twilio_ok,
            "gemini_ok": self.has_llm,
            "disk_space_ok": disk_space_ok,
            "internet_ok": internet_ok,
            "promises": {
                "ok": self.promises.as_ref().is_ok_and(Vec::is_empty),
                "broken": broken.iter().map(told).collect::<Vec<_>>(),
            },
            "detail": {
                "database_ms": self.database.as_ref().ok().map(Duration::as_millis),
                "promises": self.promises.as_ref().err().map(ToString::to_string),
                "database": self.database.as_ref().err().map(ToString::to_string),
                "twilio": self.telephony.as_ref().err().map(ToString::to_string),
                "gemini": (!self.has_llm).then_some("not configured: calls are analysed by rules"),
                "disk_free_bytes": self.disk_free,
                "disk_threshold_bytes": self.disk_threshold,
            },
        })
    }
}

fn told(promise: &BrokenPromise) -> Value {
    json!({ "kind": promise.kind, "ref_id": promise.ref_id, "since": timestamp(promise.since) })
}

/// Free bytes for us on the disk of the directory.
fn disk_free(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine() -> Findings {
        Findings {
            database: Ok(Duration::from_millis(2)),
            telephony: Ok(()),
            has_llm: true,
            disk_free: Some(5_000_000_000),
            disk_threshold: DISK_THRESHOLD,
            promises: Ok(vec![]),
        }
    }

    fn broken(kind: &str) -> Findings {
        let (kind, ref_id) = (kind.to_owned(), uuid::Uuid::now_v7());
        Findings { promises: Ok(vec![BrokenPromise { kind, ref_id, since: chrono::DateTime::UNIX_EPOCH }]), ..fine() }
    }

    #[test]
    fn everything_working_is_healthy() {
        let answer = fine().answer();
        assert_eq!(answer["status"], "healthy");
        for key in ["database_ok", "twilio_ok", "gemini_ok", "disk_space_ok", "internet_ok"] {
            assert_eq!(answer[key], true, "{key}");
        }
    }

    #[test]
    fn a_missing_model_is_told_and_is_not_critical() {
        let answer = Findings { has_llm: false, ..fine() }.answer();
        assert_eq!((&answer["status"], &answer["gemini_ok"]), (&json!("healthy"), &json!(false)));
    }

    #[test]
    fn whatever_calls_need_is_critical_when_it_fails() {
        let refused = Findings { telephony: Err(PortError::Permanent("bad credentials".into())), ..fine() }.answer();
        assert_eq!((&refused["status"], &refused["internet_ok"]), (&json!("critical"), &json!(true)));
        let away = Findings { telephony: Err(PortError::Transient("timed out".into())), ..fine() }.answer();
        assert_eq!((&away["twilio_ok"], &away["internet_ok"]), (&json!(false), &json!(false)));
        let full = Findings { disk_free: Some(10), ..fine() }.answer();
        assert_eq!((&full["status"], &full["disk_space_ok"]), (&json!("critical"), &json!(false)));
        let gone = Findings { database: Err(StorageError::Stale), ..fine() }.answer();
        assert_eq!((&gone["status"], &gone["database_ok"]), (&json!("critical"), &json!(false)));
    }

    #[test]
    fn broken_promises_are_told_and_only_a_second_call_is_critical() {
        assert_eq!(fine().answer()["promises"], json!({ "ok": true, "broken": [] }));
        let late = broken("lead_without_outcome").answer();
        assert_eq!((&late["status"], &late["promises"]["ok"]), (&json!("healthy"), &json!(false)));
        assert_eq!(late["promises"]["broken"][0]["kind"], "lead_without_outcome");
        assert_eq!(late["promises"]["broken"][0]["since"], "1970-01-01T00:00:00.000Z");
        assert_eq!(broken(CALLED_TWICE).answer()["status"], "critical");
        let unread = Findings { promises: Err(StorageError::Stale), ..fine() }.answer();
        assert_eq!(unread["promises"], json!({ "ok": false, "broken": [] }));
    }

    #[test]
    fn the_free_space_of_a_directory_is_known() {
        assert!(disk_free(Path::new("/")).is_some_and(|free| free > 0));
        assert_eq!(disk_free(Path::new("/no/such/directory")), None);
    }
}
