//! The next thing to do for a ticket's effects: decided from rows alone.

use apex_storage::model::EffectId;
use apex_storage::{Effect, InboxRow, Node};
use chrono::{DateTime, Duration, Utc};

use crate::desk::CLOCK_SET_BACK;
use crate::memory::Memory;

/// While everything is held, a ticket looks for its release this often, should the nudge be lost.
const WITHHELD_LOOK: Duration = Duration::seconds(30);
/// The stage of a ticket that waits for a person, since everything is held.
pub(crate) const WITHHELD: &str = "effects_held";
/// The stage of a ticket with an effect of which nobody knows whether it happened.
pub(crate) const HELD: &str = "held";

/// The next thing to do for a ticket's effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// A callback names the provider's id of an effect.
    Bind(EffectId, String),
    /// A call that nobody wants answers to an effect: end it.
    Surplus(EffectId, String),
    /// It may be sent.
    Send(EffectId),
    /// Everything is held: tell that it waits for a person.
    Withhold(EffectId),
    /// A person does not want it sent.
    Drop(EffectId),
    /// It was being sent when its sender died: nobody knows.
    Doubt(EffectId),
    /// Ask the provider whether it happened.
    LookUp(EffectId),
    /// It may be sent again: it cannot have happened and its sender is gone, or a person takes the responsibility.
    Again(EffectId),
    /// It may have happened and its sender may still act: set it aside.
    Hold(EffectId),
    /// Nothing before this time.
    Wait(DateTime<Utc>),
    /// Every effect is settled.
    Settled,
}

/// What a decision about effects looks at.
pub(crate) struct Situation<'a> {
    pub effects: &'a [Effect],
    pub reports: &'a [InboxRow],
    pub memory: &'a Memory,
    /// The deciding node.
    pub node: &'a str,
    pub now: DateTime<Utc>,
    pub lookup_for: Duration,
    /// No call or message leaves until a person releases it.
    pub hold: bool,
}

/// Decides. The order matters: what is known is written down before anything new is begun.
pub(crate) fn next(s: &Situation<'_>) -> Delivery {
    if let Some(known) = s.effects.iter().find_map(|effect| claimed_by_report(s, effect)) {
        return known;
    }
    let mut wait: Option<DateTime<Utc>> = None;
    for effect in s.effects {
        match one(s, effect) {
            Delivery::Settled => {}
            Delivery::Wait(at) => wait = Some(wait.map_or(at, |earlier| earlier.min(at))),
            other => return other,
        }
    }
    wait.map_or(Delivery::Settled, Delivery::Wait)
}

/// The first id that a callback names is the effect's; any other is surplus, and so is one of an effect that was given up.
fn claimed_by_report(s: &Situation<'_>, effect: &Effect) -> Option<Delivery> {
    let own = effect.sid.as_deref();
    let other = |row: &&InboxRow| {
        row.effect_id == effect.id && Some(row.sid.as_str()) != own && !s.memory.hung_up.contains(&row.sid)
    };
    let named = s.reports.iter().find(other)?;
    match (own, effect.state.as_str()) {
        (None, "intended" | "sending" | "unknown" | "held") => Some(Delivery::Bind(effect.id, named.sid.clone())),
        _ if effect.kind == "call" => Some(Delivery::Surplus(effect.id, named.sid.clone())),
        _ => None,
    }
}

fn one(s: &Situation<'_>, effect: &Effect) -> Delivery {
    let id = effect.id;
    match (effect.state.as_str(), effect.verdict.as_deref()) {
        ("intended" | "held", Some("cancel")) => Delivery::Drop(id),
        ("intended", verdict) if s.hold && verdict != Some("release") => {
            if s.memory.has_told(WITHHELD, id) {
                Delivery::Wait(s.now + WITHHELD_LOOK)
            } else {
                Delivery::Withhold(id)
            }
        }
        ("intended", _) => s.memory.rests(&send_of(id), s.now).map_or(Delivery::Send(id), Delivery::Wait),
        ("sending", _) => Delivery::Doubt(id),
        ("unknown", _) => unclear(s, effect),
        ("held", Some("release")) => Delivery::Again(id),
        ("held", _) if is_sender_gone(s, effect) => sender_gone(s, effect),
        _ => Delivery::Settled,
    }
}

/// It is looked for until the time is up, and at least once, also when the time ran out while nobody was there.
fn unclear(s: &Situation<'_>, effect: &Effect) -> Delivery {
    let sent = effect.sent_at.filter(|at| *at <= s.now + CLOCK_SET_BACK);
    let deadline = sent.map_or(s.now, |sent| sent + s.lookup_for);
    let looked = s.memory.looked.get(&effect.id);
    match s.memory.rests(&look_of(effect.id), s.now) {
        Some(at) => Delivery::Wait(at.min(deadline.max(s.now + Duration::milliseconds(50)))),
        None if s.now < deadline || looked.is_none() => Delivery::LookUp(effect.id),
        None if looked == Some(&true) && is_sender_gone(s, effect) => Delivery::Again(effect.id),
        None => Delivery::Hold(effect.id),
    }
}

/// Set aside, and its sender cannot act any more: sent again as soon as the provider certainly has nothing.
fn sender_gone(s: &Situation<'_>, effect: &Effect) -> Delivery {
    match s.memory.rests(&look_of(effect.id), s.now) {
        _ if s.memory.looked.get(&effect.id) == Some(&true) => Delivery::Again(effect.id),
        Some(at) => Delivery::Wait(at),
        None => Delivery::LookUp(effect.id),
    }
}

fn is_sender_gone(s: &Situation<'_>, effect: &Effect) -> bool {
    let Some(sender) = effect.sender.as_deref() else { return false };
    sender != s.node && Node::installation(sender) == Node::installation(s.node)
}

/// The name under which sending an effect is put off.
pub(super) fn send_of(effect: EffectId) -> String {
    format!("send:{effect}")
}

/// The name under which looking for an effect is put off.
pub(super) fn look_of(effect: EffectId) -> String {
    format!("look:{effect}")
}

#[cfg(test)]
mod tests {
    use apex_storage::model::call::{Leg, Progress, Report};
    use apex_storage::model::{InboxId, ProjectId, TicketId};

    use super::*;

    const NODE: &str = "house:2";

    struct Scene {
        effect: Effect,
        reports: Vec<InboxRow>,
        memory: Memory,
        now: DateTime<Utc>,
        hold: bool,
    }

    impl Scene {
        fn of(state: &str, sender: Option<&str>) -> Self {
            let now = DateTime::UNIX_EPOCH + Duration::days(20_000);
            let effect = Effect {
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
                sid: None,
                state: state.into(),
                reason: None,
                sender: sender.map(str::to_owned),
                sender_fence: None,
                sent_at: Some(now),
                created_at: now,
                verdict: None,
                verdict_by: None,
                verdict_at: None,
            };
            Self { effect, reports: vec![], memory: Memory::default(), now, hold: false }
        }

        fn reported(mut self, sid: &str) -> Self {
            self.reports.push(InboxRow {
                id: InboxId::new(),
                effect_id: self.effect.id,
                sid: sid.into(),
                kind: "status".into(),
                report: Report::Leg { leg: Leg::Boss, progress: Progress::Ringing },
                received_at: self.now,
            });
            self
        }

        fn next(&self) -> Delivery {
            next(&Situation {
                effects: std::slice::from_ref(&self.effect),
                reports: &self.reports,
                memory: &self.memory,
                node: NODE,
                now: self.now,
                lookup_for: Duration::seconds(60),
                hold: self.hold,
            })
        }
    }

    #[test]
    fn an_unclear_call_is_sent_again_only_when_its_sender_is_gone_and_the_provider_certainly_has_nothing() {
        let mut scene = Scene::of("unknown", Some("house:1"));
        let id = scene.effect.id;
        assert_eq!(scene.next(), Delivery::LookUp(id));
        scene.now += Duration::seconds(61);
        assert_eq!(scene.next(), Delivery::LookUp(id), "at least one look");
        scene.memory.looked.insert(id, false);
        assert_eq!(scene.next(), Delivery::Hold(id), "a provider that did not answer proves nothing");
        scene.memory.looked.insert(id, true);
        assert_eq!(scene.next(), Delivery::Again(id));
        for alive in [NODE, "elsewhere:1"] {
            scene.effect.sender = Some(alive.into());
            assert_eq!(scene.next(), Delivery::Hold(id), "{alive} may still act");
        }
    }

    #[test]
    fn a_held_call_goes_on_by_a_person_or_when_its_sender_is_gone() {
        let mut scene = Scene::of("held", Some(NODE));
        let id = scene.effect.id;
        assert_eq!(scene.next(), Delivery::Settled);
        scene.effect.verdict = Some("release".into());
        assert_eq!(scene.next(), Delivery::Again(id));
        scene.effect.verdict = Some("cancel".into());
        assert_eq!(scene.next(), Delivery::Drop(id));
        let mut scene = Scene::of("held", Some("house:1"));
        let id = scene.effect.id;
        assert_eq!(scene.next(), Delivery::LookUp(id));
        scene.memory.looked.insert(id, true);
        assert_eq!(scene.next(), Delivery::Again(id));
    }

    #[test]
    fn while_everything_is_held_only_what_was_released_leaves() {
        let mut scene = Scene { hold: true, ..Scene::of("intended", None) };
        let id = scene.effect.id;
        assert_eq!(scene.next(), Delivery::Withhold(id));
        scene.memory.learn(WITHHELD, &serde_json::json!({ "effect_id": id }));
        assert!(matches!(scene.next(), Delivery::Wait(_)));
        scene.effect.verdict = Some("release".into());
        assert_eq!(scene.next(), Delivery::Send(id));
        scene.effect.verdict = Some("cancel".into());
        assert_eq!(scene.next(), Delivery::Drop(id));
    }

    #[test]
    fn a_callback_binds_whatever_was_not_given_up_and_a_second_call_is_surplus() {
        for state in ["intended", "sending", "unknown", "held"] {
            let scene = Scene::of(state, Some("house:1")).reported("CA1");
            assert_eq!(scene.next(), Delivery::Bind(scene.effect.id, "CA1".into()), "{state}");
        }
        let refused = Scene::of("refused", None).reported("CA1");
        assert_eq!(refused.next(), Delivery::Surplus(refused.effect.id, "CA1".into()));
        let mut live = Scene::of("live", None).reported("CA1").reported("CA2");
        live.effect.sid = Some("CA1".into());
        assert_eq!(live.next(), Delivery::Surplus(live.effect.id, "CA2".into()));
        live.memory.hung_up.insert("CA2".into());
        assert_eq!(live.next(), Delivery::Settled);
    }
}
