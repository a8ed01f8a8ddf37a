//! What is done next for a bridge: a pure function of facts, rows and time.

use std::collections::HashMap;

use apex_storage::Effect;
use apex_storage::model::EffectId;
use apex_storage::model::call::{Ending, Facts, Recording};
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

use crate::delivery::Delivery;
use crate::desk::CLOCK_SET_BACK;
use crate::memory::Memory;
use crate::world::Rules;

/// How long a call that may or may not exist keeps its ticket: later than this nobody picks up any more.
const HELD_FOR: Duration = Duration::minutes(15);
/// Longest wait between two looks at a silent call.
const LONGEST_LOOK: i32 = 8;
/// A call without an end beyond the longest is given up only when so many looks in a row told nothing new.
const LOOKS_BEFORE_GIVING_UP: u32 = 3;
/// A safety net: with nothing to do, look again after this.
const SAFETY: Duration = Duration::seconds(60);

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read the lead, decide whether it is dialled, open the bridge, intend the call.
    Begin,
    /// Something about calls and messages on their way out.
    Deliver(Delivery),
    /// End a ticket that was to be begun earlier.
    Expire,
    /// Give up a call that was not sent, for this reason.
    Withdraw(EffectId, &'static str),
    /// End a call that somebody asked to end.
    HangUp(String),
    /// Ask the provider about a call that fell silent.
    LookAt(EffectId),
    /// Text the boss about a call that may or may not exist.
    TellHeld,
    /// Write down how the bridge ended.
    Close(Ending),
    /// Ask the provider for the recording.
    FindRecording,
    /// Bring the recording home.
    Fetch {
        /// The provider's id.
        sid: String,
        /// Its length.
        seconds: u32,
    },
    /// Go on without a recording.
    NoRecording(&'static str),
    /// Turn the recording into text.
    Transcribe,
    /// Tell what the text means.
    Analyse,
    /// End the ticket.
    Finish,
    /// Nothing before this time, or a report.
    Wait(DateTime<Utc>),
}

/// What the decision looks at.
pub(crate) struct Situation<'a> {
    pub now: DateTime<Utc>,
    pub cancelled: bool,
    /// Not begun by then: not begun at all.
    pub deadline: Option<DateTime<Utc>>,
    pub steps: &'a HashMap<String, Value>,
    pub call: Option<&'a Effect>,
    pub facts: &'a Facts,
    pub record: bool,
    pub delivery: Delivery,
    pub memory: &'a Memory,
    pub last_report: Option<DateTime<Utc>>,
    pub last_look: Option<DateTime<Utc>>,
    pub looks_without_news: u32,
    pub times: Times,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub silent_after: Duration,
    pub recording_wait: Duration,
    pub longest_call: Duration,
}

impl Times {
    pub fn of(rules: &Rules) -> Self {
        let long = |duration: std::time::Duration| Duration::from_std(duration).unwrap_or(Duration::MAX);
        Self {
            silent_after: long(rules.silent_after),
            recording_wait: long(rules.recording_wait),
            longest_call: long(rules.max_duration + rules.ring_timeout * 2),
        }
    }
}

impl Situation<'_> {
    fn is_too_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.now >= deadline)
    }
}

/// Decides. A wait ends no later than the wait of whatever is on its way.
pub(crate) fn next(s: &Situation<'_>) -> Next {
    let Next::Wait(until) = decide(s) else { return decide(s) };
    let on_its_way = if let Delivery::Wait(sooner) = s.delivery { until.min(sooner) } else { until };
    let not_sent = s.call.is_some_and(|call| call.state == "intended");
    let deadline = s.deadline.filter(|_| not_sent);
    Next::Wait(deadline.map_or(on_its_way, |deadline| on_its_way.min(deadline)))
}

fn decide(s: &Situation<'_>) -> Next {
    if !s.steps.contains_key("begin") {
        return if s.is_too_late() { Next::Expire } else { Next::Begin };
    }
    if let Some(call) = s.call.filter(|call| call.state == "intended") {
        if s.cancelled {
            return Next::Withdraw(call.id, "cancelled");
        }
        if s.is_too_late() {
            return Next::Withdraw(call.id, "its deadline has passed");
        }
    }
    match &s.delivery {
        Delivery::Settled | Delivery::Wait(_) => {}
        other => return Next::Deliver(other.clone()),
    }
    match (s.call, s.steps.contains_key("close")) {
        (Some(call), false) => during(s, call),
        (Some(_), true) => after(s),
        (None, _) => finish(s),
    }
}

/// The call is placed, or is about to be.
fn during(s: &Situation<'_>, call: &Effect) -> Next {
    if let Delivery::Wait(until) = s.delivery
        && call.sid.is_none()
        && call.state != "refused"
        && call.state != "held"
    {
        return Next::Wait(until);
    }
    match call.state.as_str() {
        "live" => live(s, call),
        "refused" if s.cancelled || call.verdict.as_deref() == Some("cancel") => Next::Close(Ending::Cancelled),
        "held" => held(s, call),
        _ => Next::Close(Ending::BossUnreached),
    }
}

/// Nobody knows whether the phone rang: the boss is told at once, a callback is waited for, and nothing is repeated.
fn held(s: &Situation<'_>, call: &Effect) -> Next {
    let until = call.sent_at.unwrap_or(call.created_at).min(s.now) + HELD_FOR;
    if s.cancelled || s.now >= until {
        Next::Close(Ending::BossUnreached)
    } else if !s.steps.contains_key("held_told") {
        Next::TellHeld
    } else if let Delivery::Wait(at) = s.delivery {
        Next::Wait(at.min(until)) // the text is on its way
    } else {
        Next::Wait(until)
    }
}

fn live(s: &Situation<'_>, call: &Effect) -> Next {
    if let Some(ending) = s.facts.ending() {
        let cut = s.cancelled && !matches!(ending, Ending::Connected { .. });
        return Next::Close(if cut { Ending::Cancelled } else { ending });
    }
    let sid = call.sid.clone().unwrap_or_default();
    if s.cancelled && !s.facts.connected() && !s.memory.hung_up.contains(&sid) {
        return Next::HangUp(sid);
    }
    let sent = call.sent_at.unwrap_or(call.created_at);
    let is_past = |at: &DateTime<Utc>| *at <= s.now + CLOCK_SET_BACK;
    if s.now > sent + s.times.longest_call && s.looks_without_news >= LOOKS_BEFORE_GIVING_UP {
        return Next::Close(Ending::BossUnreached);
    }
    let factor = 1 << i32::try_from(s.looks_without_news).unwrap_or(i32::MAX).min(3);
    let quiet_for = s.times.silent_after * factor.min(LONGEST_LOOK);
    let news = [Some(sent), s.last_report, s.last_look].into_iter().flatten().filter(is_past).max();
    let look_at = news.map_or(s.now, |news| news + quiet_for);
    if s.now >= look_at { Next::LookAt(call.id) } else { Next::Wait(look_at) }
}

/// The conversation is over: recording, text, meaning.
fn after(s: &Situation<'_>) -> Next {
    let connected = s.steps.get("close").is_some_and(|close| close["outcome"] == "connected");
    if !connected || !s.record {
        return finish(s);
    }
    let Some(recording) = s.steps.get("recording") else { return await_recording(s) };
    if recording["key"].is_null() {
        return finish(s);
    }
    if !s.steps.contains_key("transcribe") {
        return rested(s, "transcribe", Next::Transcribe);
    }
    if s.steps["transcribe"]["engine"].is_string() && !s.steps.contains_key("analyse") {
        return rested(s, "analyse", Next::Analyse);
    }
    finish(s)
}

fn await_recording(s: &Situation<'_>) -> Next {
    match &s.facts.recording {
        Recording::Ready { sid, seconds } => rested(s, "fetch", Next::Fetch { sid: sid.clone(), seconds: *seconds }),
        Recording::Absent => Next::NoRecording("the provider has none"),
        Recording::Unheard | Recording::InProgress => {
            let closed = s.steps.get("close").and_then(closed_at).filter(|at| *at <= s.now + CLOCK_SET_BACK);
            let until = closed.map_or(s.now, |closed| closed + s.times.recording_wait);
            if s.now < until { Next::Wait(until) } else { rested(s, "find_recording", Next::FindRecording) }
        }
    }
}

fn closed_at(close: &Value) -> Option<DateTime<Utc>> {
    close["at"].as_str()?.parse().ok()
}

fn rested(s: &Situation<'_>, what: &str, then: Next) -> Next {
    s.memory.rests(what, s.now).map_or(then, Next::Wait)
}

/// Nothing is left but messages on their way.
fn finish(s: &Situation<'_>) -> Next {
    match s.delivery {
        Delivery::Wait(until) => Next::Wait(until.min(s.now + SAFETY)),
        _ => Next::Finish,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apex_storage::model::call::{End, Leg, Progress, Report};
    use apex_storage::model::{ProjectId, TicketId};
    use proptest::prelude::*;
    use serde_json::json;

    struct Scene {
        steps: HashMap<String, Value>,
        call: Effect,
        facts: Facts,
        memory: Memory,
        now: DateTime<Utc>,
        cancelled: bool,
        deadline: Option<DateTime<Utc>>,
        looks: u32,
        delivery: Delivery,
    }

    impl Scene {
        fn live() -> Self {
            let now = DateTime::UNIX_EPOCH + Duration::days(20_000);
            Self {
                steps: HashMap::from([("begin".to_owned(), json!({}))]),
                call: effect("live", now),
                facts: Facts::default(),
                memory: Memory::default(),
                now,
                cancelled: false,
                deadline: None,
                looks: 0,
                delivery: Delivery::Settled,
            }
        }

        fn next(&self) -> Next {
            next(&Situation {
                now: self.now,
                cancelled: self.cancelled,
                steps: &self.steps,
                call: Some(&self.call),
                facts: &self.facts,
                record: true,
                deadline: self.deadline,
                delivery: self.delivery.clone(),
                memory: &self.memory,
                last_report: None,
                last_look: None,
                looks_without_news: self.looks,
                times: Times {
                    silent_after: Duration::seconds(15),
                    recording_wait: Duration::seconds(30),
                    longest_call: Duration::hours(1),
                },
            })
        }
    }

    fn effect(state: &str, at: DateTime<Utc>) -> Effect {
        Effect {
            id: EffectId::new(),
            project_id: ProjectId::new(),
            bridge_id: None,
            ticket_id: TicketId::new(),
            kind: "call".into(),
            key: "call".into(),
            account: Some("AC".into()),
            to_number: None,
            from_number: None,
            body: None,
            sid: (state == "live").then(|| "CA1".into()),
            state: state.into(),
            reason: None,
            sender: None,
            sender_fence: None,
            sent_at: Some(at),
            created_at: at,
            verdict: None,
            verdict_by: None,
            verdict_at: None,
        }
    }

    fn over(seconds: u32) -> Progress {
        Progress::Over(End::Completed { seconds })
    }

    #[test]
    fn a_call_that_fell_silent_is_looked_at() {
        let mut scene = Scene::live();
        assert_eq!(scene.next(), Next::Wait(scene.now + Duration::seconds(15)));
        scene.now += Duration::seconds(15);
        assert_eq!(scene.next(), Next::LookAt(scene.call.id));
    }

    #[test]
    fn a_cancelled_call_is_hung_up_once_and_never_while_they_speak() {
        let mut scene = Scene::live();
        scene.cancelled = true;
        assert_eq!(scene.next(), Next::HangUp("CA1".into()));
        scene.memory.hung_up.insert("CA1".into());
        assert!(matches!(scene.next(), Next::Wait(_)));
        scene.memory.hung_up.clear();
        scene.facts.learn(&Report::Press { accepted: true });
        scene.facts.learn(&Report::Leg { leg: Leg::Customer, progress: Progress::Answered });
        assert!(matches!(scene.next(), Next::Wait(_)), "a conversation is not cut off");
    }

    #[test]
    fn a_call_that_was_not_sent_is_withdrawn_when_cancelled() {
        let mut scene = Scene::live();
        scene.call = effect("intended", scene.now);
        scene.delivery = Delivery::Send(scene.call.id);
        scene.cancelled = true;
        assert_eq!(scene.next(), Next::Withdraw(scene.call.id, "cancelled"));
    }

    #[test]
    fn what_is_not_begun_by_its_deadline_is_not_begun() {
        let mut scene = Scene::live();
        scene.deadline = Some(scene.now);
        scene.steps.clear();
        assert_eq!(scene.next(), Next::Expire);
        let mut scene = Scene::live();
        scene.call = effect("intended", scene.now);
        scene.delivery = Delivery::Wait(scene.now + Duration::seconds(30));
        scene.deadline = Some(scene.now + Duration::seconds(5));
        assert_eq!(scene.next(), Next::Wait(scene.now + Duration::seconds(5)));
        scene.now += Duration::seconds(5);
        assert_eq!(scene.next(), Next::Withdraw(scene.call.id, "its deadline has passed"));
    }

    #[test]
    fn a_call_that_a_person_took_back_ends_without_a_text() {
        let mut scene = Scene::live();
        scene.call = effect("refused", scene.now);
        assert_eq!(scene.next(), Next::Close(Ending::BossUnreached));
        scene.call.verdict = Some("cancel".into());
        assert_eq!(scene.next(), Next::Close(Ending::Cancelled));
    }

    #[test]
    fn a_call_without_an_end_is_given_up_only_after_looks_that_told_nothing() {
        let mut scene = Scene::live();
        scene.now += Duration::hours(2);
        assert_eq!(scene.next(), Next::LookAt(scene.call.id), "the clock may have been set forward");
        scene.looks = LOOKS_BEFORE_GIVING_UP;
        assert_eq!(scene.next(), Next::Close(Ending::BossUnreached));
    }

    #[test]
    fn a_held_call_is_told_waits_for_its_callback_and_then_gives_up() {
        let mut scene = Scene::live();
        scene.call = effect("held", scene.now);
        assert_eq!(scene.next(), Next::TellHeld);
        scene.steps.insert("held_told".into(), json!({}));
        assert_eq!(scene.next(), Next::Wait(scene.now + HELD_FOR));
        scene.now += HELD_FOR;
        assert_eq!(scene.next(), Next::Close(Ending::BossUnreached));
    }

    #[test]
    fn after_a_conversation_come_recording_text_and_meaning() {
        let mut scene = Scene::live();
        scene.steps.insert("close".into(), json!({ "outcome": "connected", "at": scene.now.to_rfc3339() }));
        assert_eq!(scene.next(), Next::Wait(scene.now + Duration::seconds(30)));
        scene.facts.learn(&Report::Recording(Recording::Ready { sid: "RE1".into(), seconds: 9 }));
        assert_eq!(scene.next(), Next::Fetch { sid: "RE1".into(), seconds: 9 });
        scene.steps.insert("recording".into(), json!({ "key": "recordings/x" }));
        assert_eq!(scene.next(), Next::Transcribe);
        scene.steps.insert("transcribe".into(), json!({}));
        assert_eq!(scene.next(), Next::Finish, "without a text there is nothing to analyse");
    }

    proptest! {
        #[test]
        fn a_call_that_is_over_is_always_closed(
            boss in 0_u32..600, customer in 0_u32..600, accepted in any::<bool>(), cancelled in any::<bool>(), later in 0_i64..4000
        ) {
            let mut scene = Scene::live();
            scene.facts.learn(&Report::Press { accepted });
            scene.facts.learn(&Report::Leg { leg: Leg::Boss, progress: over(boss) });
            scene.facts.learn(&Report::Leg { leg: Leg::Customer, progress: over(customer) });
            scene.cancelled = cancelled;
            scene.now += Duration::seconds(later);
            prop_assert!(matches!(scene.next(), Next::Close(_)));
        }
    }
}
