//! What was counted for the request in hand.

use std::cell::Cell;

use super::bucket::Taken;

tokio::task_local! {
    static TALLY: Cell<Tally>;
}

/// What was counted for a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Whether its caller was known, so that it was counted as their organisation's.
    pub is_known: bool,
    /// The count with the least left: the one to tell.
    pub tightest: Option<Taken>,
}

/// Runs a request; what was counted meanwhile is at hand through [`so_far`].
pub(super) async fn keep<T>(work: impl Future<Output = T>) -> T {
    TALLY.scope(Cell::default(), work).await
}

/// What was counted until now.
pub(super) fn so_far() -> Tally {
    TALLY.try_with(Cell::get).unwrap_or_default()
}

/// The caller of the request is known. Whether they were before.
pub(super) fn known() -> bool {
    let before = so_far().is_known;
    change(|tally| Tally { is_known: true, ..tally });
    before
}

/// Something was counted.
pub(super) fn note(taken: Taken) {
    let rank = |taken: &Taken| (taken.wait.is_none(), taken.remaining);
    change(|tally| {
        let tightest = tally.tightest.into_iter().chain([taken]).min_by_key(rank);
        Tally { tightest, ..tally }
    });
}

/// Outside a request nothing is kept.
fn change(work: impl FnOnce(Tally) -> Tally) {
    let _ = TALLY.try_with(|cell| cell.set(work(cell.get())));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(remaining: u32, wait: Option<Duration>) -> Taken {
        Taken { limit: 10, remaining, reset: Duration::ZERO, wait }
    }

    #[tokio::test]
    async fn the_tightest_count_is_told() {
        let tally = keep(async {
            note(taken(3, None));
            note(taken(0, None));
            note(taken(0, Some(Duration::from_secs(1))));
            note(taken(5, None));
            assert!(!known() && known());
            so_far()
        })
        .await;
        assert!(tally.is_known);
        assert_eq!(tally.tightest, Some(taken(0, Some(Duration::from_secs(1)))));
    }

    #[test]
    fn outside_a_request_nothing_is_counted() {
        note(taken(1, None));
        assert!(!known() && !so_far().is_known && so_far().tightest.is_none());
    }
}
