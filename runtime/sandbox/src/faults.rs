//! What goes wrong outside: callbacks that are lost, doubled, late or out of order, requests that fail or whose answer
//! never comes, a model that refuses.

mod requests;

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

pub use requests::{Burst, GeminiChances, RequestChances};

/// Everything that goes wrong. Chances are drawn from `seed`, the number and the event: the same run fails the same way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Where chances start.
    pub seed: u64,
    /// Chances of callbacks about calls that were asked for.
    pub status: Chances,
    /// Chances of callbacks about the second legs of calls.
    pub leg: Chances,
    /// Chances of callbacks about recordings.
    pub recording: Chances,
    /// Chances of callbacks about text messages.
    pub message: Chances,
    /// Mishaps of exactly these callbacks; they come before chances.
    pub callbacks: Vec<CallbackFault>,
    /// What becomes of the next requests to place a call, one each.
    pub fail_next_calls: Vec<Fault>,
    /// What becomes of the next requests to send a text message, one each.
    pub fail_next_messages: Vec<Fault>,
    /// What becomes of the next requests to the model, one each.
    pub fail_next_gemini: Vec<GeminiFault>,
    /// Chances of requests to place a call that were not planted a failure.
    pub calls: RequestChances,
    /// Chances of requests to send a text message that were not planted a failure.
    pub messages: RequestChances,
    /// Chances of requests to the model that were not planted a failure.
    pub gemini: GeminiChances,
    /// Series of requests to the telephone account that fail, whatever they ask for.
    pub bursts: Vec<Burst>,
    /// Callbacks that are late by chance are later still by up to so much, milliseconds.
    pub late_spread_ms: u64,
    /// How often each recording's sound is not there yet (404).
    pub media_missing_tries: u32,
}

/// How likely mishaps are, in percent (0 to 100).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chances {
    /// Never posted.
    pub lost: u8,
    /// Posted twice.
    pub doubled: u8,
    /// Posted `late_ms` later than it should be.
    pub late: u8,
    /// How late, milliseconds.
    pub late_ms: u64,
    /// Posted after the one that follows it.
    pub reordered: u8,
}

/// What a callback is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackKind {
    /// A call that was asked for.
    Status,
    /// The second leg of a call.
    Leg,
    /// A recording.
    Recording,
    /// A text message.
    Message,
}

/// One mishap of exactly chosen callbacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackFault {
    /// What the callback is about.
    pub kind: CallbackKind,
    /// Its event: `initiated`, `ringing`, `answered`, `completed`, for recordings `in-progress`, `completed`, `absent`,
    /// for messages `sent`, `delivered`, `undelivered`, `failed`; `None`: any.
    #[serde(default)]
    pub event: Option<String>,
    /// The number called or written to; `None`: any.
    #[serde(default)]
    pub to: Option<String>,
    /// What happens to it.
    pub mishap: Mishap,
    /// How often; `None`: always.
    #[serde(default)]
    pub times: Option<u32>,
}

impl CallbackFault {
    /// Every callback of a kind and event has this mishap.
    pub fn always(kind: CallbackKind, event: &str, mishap: Mishap) -> Self {
        Self { kind, event: Some(event.to_owned()), to: None, mishap, times: None }
    }

    fn fits(&self, kind: CallbackKind, event: &str, to: &str) -> bool {
        self.kind == kind
            && self.times != Some(0)
            && self.event.as_deref().is_none_or(|wanted| wanted == event)
            && self.to.as_deref().is_none_or(|wanted| wanted == to)
    }
}

/// What happens to a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mishap {
    /// Never posted.
    Lost,
    /// Posted twice.
    Doubled,
    /// Posted later, milliseconds.
    Late(u64),
    /// Posted after the one that follows it.
    Reordered,
}

/// What becomes of a request to place a call or send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Refused with this status; nothing happens.
    Http {
        /// HTTP status.
        status: u16,
        /// Seconds in `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
        /// Twilio's code; `None`: the usual one of the status.
        #[serde(default)]
        code: Option<u32>,
    },
    /// It happens; the answer is an error all the same.
    ErrorAfterActing {
        /// HTTP status.
        status: u16,
    },
    /// It happens; the answer never comes.
    TimeoutAfterActing,
    /// Nothing happens; the answer never comes.
    TimeoutWithoutActing,
    /// It happens; the connection is closed without an answer.
    DropAfterActing,
    /// Nothing happens; the connection is closed without an answer.
    DropWithoutActing,
    /// This one goes well.
    Pass,
}

impl Fault {
    /// Refused with this status.
    pub fn http(status: u16) -> Self {
        Self::Http { status, retry_after: None, code: None }
    }

    /// Too many requests; come back after some seconds.
    pub fn too_many(retry_after: u64) -> Self {
        Self::Http { status: 429, retry_after: Some(retry_after), code: None }
    }
}

/// What becomes of a request to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GeminiFault {
    /// The prompt is blocked.
    Blocked,
    /// 429; try again after some seconds.
    Quota {
        /// Seconds until a retry is welcome.
        retry_delay: u64,
    },
    /// An error with this status.
    Http {
        /// HTTP status.
        status: u16,
    },
    /// The answer is cut off half-way.
    Truncated,
    /// The answer never comes.
    Timeout,
    /// This one goes well.
    Pass,
}

/// What happens to one delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    pub lost: bool,
    pub doubled: bool,
    pub late_ms: u64,
    pub reordered: bool,
}

/// The faults in force, and what of them is used up.
#[derive(Debug, Default)]
pub(crate) struct FaultBox {
    faults: Faults,
    calls: VecDeque<Fault>,
    messages: VecDeque<Fault>,
    gemini: VecDeque<GeminiFault>,
    drawn: HashMap<String, u64>,
    requests: u64,
}

impl FaultBox {
    pub(crate) fn new(faults: Faults) -> Self {
        let (calls, messages) = (faults.fail_next_calls.clone().into(), faults.fail_next_messages.clone().into());
        let gemini = faults.fail_next_gemini.clone().into();
        Self { faults, calls, messages, gemini, drawn: HashMap::new(), requests: 0 }
    }

    /// What becomes of a request to call `to`.
    pub(crate) fn next_call(&mut self, to: &str) -> Fault {
        self.calls.pop_front().unwrap_or_else(|| self.by_chance(self.faults.calls, "call", to))
    }

    /// What becomes of a request to write to `to`.
    pub(crate) fn next_message(&mut self, to: &str) -> Fault {
        self.messages.pop_front().unwrap_or_else(|| self.by_chance(self.faults.messages, "message", to))
    }

    /// What becomes of a request to the model for `task`.
    pub(crate) fn next_gemini(&mut self, task: &str) -> GeminiFault {
        if let Some(planted) = self.gemini.pop_front() {
            return planted;
        }
        let chances = self.faults.gemini;
        if chances == GeminiChances::default() { GeminiFault::Pass } else { chances.draw(&self.about("model", task)) }
    }

    /// The status that a request to the telephone account fails with as one of a burst. Counts the request.
    pub(crate) fn burst(&mut self) -> Option<u16> {
        let count = self.requests;
        self.requests += 1;
        self.faults.bursts.iter().find(|burst| burst.hits(count)).map(|burst| burst.status)
    }

    fn by_chance(&mut self, chances: RequestChances, what: &str, to: &str) -> Fault {
        if chances == RequestChances::default() { Fault::Pass } else { chances.draw(&self.about(what, to)) }
    }

    /// Names the next event of this kind about `to`: what chances are drawn from.
    fn about(&mut self, what: &str, to: &str) -> String {
        let subject = format!("{what} {to}");
        let count = self.drawn.entry(subject.clone()).or_default();
        *count += 1;
        format!("{} {subject} {count}", self.faults.seed)
    }

    pub(crate) fn media_missing_tries(&self) -> u32 {
        self.faults.media_missing_tries
    }

    /// Decides what happens to a callback about `to`.
    pub(crate) fn fate(&mut self, kind: CallbackKind, event: &str, to: &str) -> Fate {
        if let Some(fault) = self.faults.callbacks.iter_mut().find(|fault| fault.fits(kind, event, to)) {
            fault.times = fault.times.map(|times| times - 1);
            return match fault.mishap {
                Mishap::Lost => Fate { lost: true, ..Fate::default() },
                Mishap::Doubled => Fate { doubled: true, ..Fate::default() },
                Mishap::Late(late_ms) => Fate { late_ms, ..Fate::default() },
                Mishap::Reordered => Fate { reordered: true, ..Fate::default() },
            };
        }
        let chances = self.chances(kind);
        if chances == Chances::default() {
            return Fate::default();
        }
        let about = self.about(&format!("{kind:?} {event}"), to);
        let spread = self.faults.late_spread_ms / 100 * u64::from(percent(&about, "spread"));
        let late_ms = if percent(&about, "late") < chances.late { chances.late_ms + spread } else { 0 };
        Fate {
            lost: percent(&about, "lost") < chances.lost,
            doubled: percent(&about, "doubled") < chances.doubled,
            late_ms,
            reordered: percent(&about, "reordered") < chances.reordered,
        }
    }

    fn chances(&self, kind: CallbackKind) -> Chances {
        match kind {
            CallbackKind::Status => self.faults.status,
            CallbackKind::Leg => self.faults.leg,
            CallbackKind::Recording => self.faults.recording,
            CallbackKind::Message => self.faults.message,
        }
    }
}

/// A number from 0 to 99 that depends on nothing but its arguments, so that the order of concurrent calls does not matter.
fn percent(about: &str, salt: &str) -> u8 {
    let digest = Sha1::digest(format!("{about} {salt}"));
    let word = u16::from_be_bytes([digest[0], digest[1]]);
    u8::try_from(word % 100).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO: &str = "+64275559001";

    #[test]
    fn chances_are_drawn_alike_from_the_same_seed() {
        let status = Chances { lost: 30, doubled: 30, late: 30, late_ms: 5, reordered: 30 };
        let draw = |seed| {
            let mut faults = FaultBox::new(Faults { seed, status, ..Faults::default() });
            let fates: Vec<_> = (0..200).map(|_| faults.fate(CallbackKind::Status, "completed", TO)).collect();
            fates
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let lost = draw(7).iter().filter(|fate| fate.lost).count();
        assert!((30..90).contains(&lost), "{lost} of 200 lost at 30 percent");
    }

    #[test]
    fn an_exact_mishap_hits_as_often_as_it_says() {
        let mut lose = CallbackFault::always(CallbackKind::Leg, "completed", Mishap::Lost);
        lose.times = Some(1);
        let mut faults = FaultBox::new(Faults { callbacks: vec![lose], ..Faults::default() });
        assert!(!faults.fate(CallbackKind::Leg, "ringing", TO).lost);
        assert!(!faults.fate(CallbackKind::Status, "completed", TO).lost);
        assert!(faults.fate(CallbackKind::Leg, "completed", TO).lost);
        assert!(!faults.fate(CallbackKind::Leg, "completed", TO).lost);
    }

    #[test]
    fn planted_failures_are_used_up_one_by_one() {
        let fail_next_calls = vec![Fault::http(500), Fault::Pass, Fault::DropAfterActing];
        let mut faults = FaultBox::new(Faults { fail_next_calls, ..Faults::default() });
        let drawn = [TO; 4].map(|to| faults.next_call(to));
        assert_eq!(drawn, [Fault::http(500), Fault::Pass, Fault::DropAfterActing, Fault::Pass]);
        assert_eq!(faults.next_message(TO), Fault::Pass);
    }

    #[test]
    fn what_was_planted_comes_before_chance() {
        let calls = RequestChances { server_error: 100, ..RequestChances::default() };
        let gemini = GeminiChances { http_500: 100, ..GeminiChances::default() };
        let planted = Faults {
            calls,
            gemini,
            fail_next_calls: vec![Fault::Pass],
            fail_next_gemini: vec![GeminiFault::Pass],
            ..Faults::default()
        };
        let mut faults = FaultBox::new(planted);
        assert_eq!([TO; 2].map(|to| faults.next_call(to)), [Fault::Pass, Fault::http(500)]);
        let asked = ["Analyse"; 2].map(|task| faults.next_gemini(task));
        assert_eq!(asked, [GeminiFault::Pass, GeminiFault::Http { status: 500 }]);
    }

    #[test]
    fn requests_of_all_kinds_are_counted_for_bursts() {
        let bursts = vec![Burst { every: 4, length: 1, status: 429 }, Burst { every: 6, length: 2, status: 500 }];
        let mut faults = FaultBox::new(Faults { bursts, ..Faults::default() });
        let failed: Vec<_> = (0..8).map(|_| faults.burst()).collect();
        assert_eq!(failed, [Some(429), Some(500), None, None, Some(429), None, Some(500), Some(500)]);
    }

    #[test]
    fn late_callbacks_are_spread_when_they_shall_be() {
        let status = Chances { late: 100, late_ms: 1000, ..Chances::default() };
        let mut faults = FaultBox::new(Faults { status, late_spread_ms: 60_000, ..Faults::default() });
        let late: Vec<_> = (0..50).map(|_| faults.fate(CallbackKind::Status, "completed", TO).late_ms).collect();
        assert!(late.iter().all(|ms| (1000..61_000).contains(ms)), "{late:?}");
        assert!(late.iter().max() > late.iter().min().map(|least| least + 30_000).as_ref(), "{late:?}");
    }

    #[test]
    fn faults_read_what_they_write() {
        let faults = Faults {
            seed: 4,
            status: Chances { lost: 10, ..Chances::default() },
            callbacks: vec![CallbackFault::always(CallbackKind::Recording, "completed", Mishap::Late(20))],
            fail_next_calls: vec![Fault::too_many(3), Fault::TimeoutAfterActing],
            fail_next_gemini: vec![GeminiFault::Quota { retry_delay: 2 }, GeminiFault::Blocked],
            ..Faults::default()
        };
        let json = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<Faults>(&json).unwrap(), faults);
        assert_eq!(serde_json::from_str::<Faults>(r#"{"media_missing_tries":2}"#).unwrap().media_missing_tries, 2);
    }
}
