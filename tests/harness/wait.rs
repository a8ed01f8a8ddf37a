//! Waiting for a state, never for time. The only place of the tests that sleeps.

use std::time::{Duration, Instant};

use crate::leftovers;

/// How long a state may take to appear before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(15);

/// What a probe may answer: `true` or `Some(value)` when the awaited state is there.
pub trait Reached {
    /// What the wait returns.
    type Value;
    /// The value, or nothing yet.
    fn reached(self) -> Option<Self::Value>;
}

impl Reached for bool {
    type Value = ();
    fn reached(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Reached for Option<T> {
    type Value = T;
    fn reached(self) -> Option<T> {
        self
    }
}

/// Asks `probe` again and again until it has an answer.
///
/// # Panics
///
/// After [`PATIENCE`], naming `what` was awaited.
pub async fn until<R: Reached>(probe: impl AsyncFnMut() -> R, what: &str) -> R::Value {
    match until_within(PATIENCE, probe).await {
        Some(value) => value,
        None => panic!("waited {PATIENCE:?} in vain for: {what}"),
    }
}

/// Like [`until`] with a deadline of its own; `None` when it passed, so that the caller can say more than one line.
pub async fn until_within<R: Reached>(patience: Duration, probe: impl AsyncFnMut() -> R) -> Option<R::Value> {
    asking_every(PAUSE, patience, probe).await
}

/// Like [`until_within`] with a pause of its own between two questions, for probes that are a burden.
pub async fn asking_every<R: Reached>(
    pause: Duration,
    patience: Duration,
    mut probe: impl AsyncFnMut() -> R,
) -> Option<R::Value> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = probe().await.reached() {
            return Some(value);
        }
        if Instant::now() > deadline {
            return None;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Like [`until_within`] for code outside a runtime: the start of a server.
pub fn blocking<R: Reached>(patience: Duration, mut probe: impl FnMut() -> R) -> Option<R::Value> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = probe().reached() {
            return Some(value);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// How long a test's plot goes on: `short`, or `long` where `APEX_TEST_LONG` is set.
pub fn for_short_or(short: Duration, long: Duration) -> Duration {
    if leftovers::setting("APEX_TEST_LONG").is_some() { long } else { short }
}

/// Lets an outage last, or the next of a steady stream of requests wait for its turn. Part of a test's plot, and never a way to
/// wait for a state.
pub async fn let_pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_with_the_value_of_the_first_answer() {
        let mut asked = 0;
        let value = until(
            async || {
                asked += 1;
                (asked == 3).then_some("there")
            },
            "the third question",
        )
        .await;
        assert_eq!(value, "there");
        assert_eq!(asked, 3);
    }

    #[tokio::test]
    async fn a_wait_in_vain_ends_at_its_deadline() {
        assert_eq!(until_within(Duration::from_millis(40), async || false).await, None);
        assert_eq!(blocking(Duration::from_millis(40), || None::<u8>), None);
    }
}
