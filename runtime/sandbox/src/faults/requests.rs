//! What becomes of requests by chance: answers that are lost, refusals, errors, and whole bursts of them.

use serde::{Deserialize, Serialize};

use super::{Fault, GeminiFault, percent};

/// Of a hundred answers that are lost, so many leave the connection open until the caller gives up.
const HANGS: u8 = 10;
/// Seconds after which a refused caller is welcome again.
const WELCOME_AGAIN: u64 = 1;

/// How likely mishaps of a request to place a call or send a message are, in percent; together at most 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestChances {
    /// It happens; the answer is lost. Most connections break, some stay open in silence.
    pub lost_after_acting: u8,
    /// Nothing happens, and no answer comes either.
    pub lost_without_acting: u8,
    /// Refused with 429; nothing happens.
    pub too_many: u8,
    /// Refused with 500; nothing happens.
    pub server_error: u8,
    /// It happens; the answer is a 500 all the same.
    pub server_error_after_acting: u8,
}

/// How likely mishaps of a request to the model are, in percent; together at most 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeminiChances {
    /// An error of the server.
    pub http_500: u8,
    /// 429; try again in a second.
    pub quota: u8,
    /// The answer never comes.
    pub timeout: u8,
    /// The answer is cut off half-way.
    pub truncated: u8,
    /// The prompt is blocked.
    pub blocked: u8,
}

/// Requests to the telephone account's API that fail in a row, whatever they ask for; nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Counted in so many requests: of each such series the first ones fail.
    pub every: u32,
    /// So many.
    pub length: u32,
    /// With this HTTP status.
    pub status: u16,
}

impl Burst {
    /// Is request number `count`, counted from 0, one that fails?
    pub(super) fn hits(self, count: u64) -> bool {
        self.every > 0 && count % u64::from(self.every) < u64::from(self.length)
    }
}

impl RequestChances {
    /// Draws what becomes of the request that `about` describes.
    pub(super) fn draw(self, about: &str) -> Fault {
        let hangs = percent(about, "hang") < HANGS;
        let outcomes = [
            (self.lost_after_acting, if hangs { Fault::TimeoutAfterActing } else { Fault::DropAfterActing }),
            (self.lost_without_acting, if hangs { Fault::TimeoutWithoutActing } else { Fault::DropWithoutActing }),
            (self.too_many, Fault::too_many(WELCOME_AGAIN)),
            (self.server_error, Fault::http(500)),
            (self.server_error_after_acting, Fault::ErrorAfterActing { status: 500 }),
        ];
        drawn(outcomes, about).unwrap_or(Fault::Pass)
    }
}

impl GeminiChances {
    /// Draws what becomes of the request that `about` describes.
    pub(super) fn draw(self, about: &str) -> GeminiFault {
        let outcomes = [
            (self.http_500, GeminiFault::Http { status: 500 }),
            (self.quota, GeminiFault::Quota { retry_delay: WELCOME_AGAIN }),
            (self.timeout, GeminiFault::Timeout),
            (self.truncated, GeminiFault::Truncated),
            (self.blocked, GeminiFault::Blocked),
        ];
        drawn(outcomes, about).unwrap_or(GeminiFault::Pass)
    }
}

/// One throw of the dice for all outcomes, each as likely as it says.
fn drawn<T>(outcomes: impl IntoIterator<Item = (u8, T)>, about: &str) -> Option<T> {
    let mut rest = percent(about, "request");
    for (likely, outcome) in outcomes {
        match rest.checked_sub(likely) {
            Some(left) => rest = left,
            None => return Some(outcome),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_each_mishap_as_often_as_it_is_likely() {
        let chances = RequestChances { lost_after_acting: 20, too_many: 30, ..RequestChances::default() };
        let drawn: Vec<_> = (0..1000).map(|nth| chances.draw(&format!("7 call {nth}"))).collect();
        let count = |wanted: &[Fault]| drawn.iter().filter(|fault| wanted.contains(fault)).count();
        let (dropped, hanging) = (count(&[Fault::DropAfterActing]), count(&[Fault::TimeoutAfterActing]));
        assert!((150..250).contains(&(dropped + hanging)), "{dropped} + {hanging} of 1000 at 20 percent");
        assert!(hanging > 0 && hanging * 4 < dropped, "most break, some hang: {dropped} and {hanging}");
        assert!((250..350).contains(&count(&[Fault::too_many(1)])));
        assert!((450..550).contains(&count(&[Fault::Pass])));
    }

    #[test]
    fn a_model_that_always_fails_fails_always() {
        let chances = GeminiChances { truncated: 60, blocked: 40, ..GeminiChances::default() };
        for nth in 0..200 {
            let fault = chances.draw(&format!("1 {nth}"));
            assert!(matches!(fault, GeminiFault::Truncated | GeminiFault::Blocked), "{fault:?}");
        }
        assert_eq!(GeminiChances::default().draw("1"), GeminiFault::Pass);
    }

    #[test]
    fn a_burst_hits_the_first_of_each_series() {
        let burst = Burst { every: 5, length: 2, status: 429 };
        let hit: Vec<_> = (0..12).filter(|count| burst.hits(*count)).collect();
        assert_eq!(hit, [0, 1, 5, 6, 10, 11]);
        assert!(!Burst { every: 0, length: 2, status: 429 }.hits(0));
    }
}
