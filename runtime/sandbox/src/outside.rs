//! The stage that is on now, and its change.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::options::{Options, SandboxError};
use crate::stage::Stage;

/// The stage that is on now. Requests take it once and stay on it.
pub(crate) struct Outside {
    options: Arc<Options>,
    base: Arc<str>,
    http: reqwest::Client,
    tracker: TaskTracker,
    stop: CancellationToken,
    stage: RwLock<Arc<Stage>>,
}

impl Outside {
    pub(crate) fn new(options: Options, base: String, stop: CancellationToken) -> Result<Self, SandboxError> {
        let http = reqwest::Client::builder()
            .user_agent("TwilioProxy/1.1")
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .no_proxy()
            .build()
            .map_err(SandboxError::Client)?;
        let (options, base, tracker) = (Arc::new(options), Arc::from(base), TaskTracker::new());
        let over = stop.child_token();
        let stage = Stage::new(Arc::clone(&options), Arc::clone(&base), http.clone(), tracker.clone(), over);
        Ok(Self { options, base, http, tracker, stop, stage: RwLock::new(Arc::new(stage)) })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn stage(&self) -> Arc<Stage> {
        Arc::clone(&self.stage.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins anew: an empty ledger, no scripts, no faults. Whatever runs is cut off and leaves no trace.
    pub(crate) fn reset(&self) {
        let (options, base) = (Arc::clone(&self.options), Arc::clone(&self.base));
        let over = self.stop.child_token();
        let fresh = Stage::new(options, base, self.http.clone(), self.tracker.clone(), over);
        let mut stage = self.stage.write().unwrap_or_else(PoisonError::into_inner);
        stage.over.cancel();
        *stage = Arc::new(fresh);
    }

    /// Waits until no call and no callback runs any more; they end when the stop is cancelled.
    pub(crate) async fn drained(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
