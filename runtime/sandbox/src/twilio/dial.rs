//! `<Dial>`: rings other numbers and joins the first that takes the call.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::ledger::{CallStatus, Direction};
use crate::script::{Moment, Pickup, Script};
use crate::twilio::form::{Params, pair};
use crate::twilio::leg::{Leg, NewLeg};
use crate::twilio::player::{Document, End, Next, Page, Player};
use crate::twilio::tape::Tape;
use crate::twilio::verbs::{Dial, Number};

/// What ringing takes, in reported seconds.
const RUNG_SECONDS: u32 = 5;

/// How a number that was rung stands.
enum Rung {
    /// Somebody takes the call.
    Joined(Box<Leg>, Arc<Script>),
    /// Nobody does.
    Over { sid: String, status: CallStatus },
}

/// How a `<Dial>` went, as the next script is told.
struct Outcome {
    status: CallStatus,
    sid: String,
    seconds: u32,
    bridged: bool,
    recording: Params,
    /// The first leg's person hung up.
    left: bool,
}

impl Outcome {
    fn params(&self) -> Params {
        let mut params = vec![
            pair("DialCallStatus", self.status.as_str()),
            pair("DialCallSid", &self.sid),
            pair("DialBridged", if self.bridged { "true" } else { "false" }),
        ];
        if self.bridged {
            params.push(pair("DialCallDuration", self.seconds.to_string()));
        }
        params.extend(self.recording.iter().cloned());
        params
    }
}

/// Rings a phone until somebody picks up. The error is how the leg ends instead.
pub(crate) async fn pick_up(leg: &mut Leg, person: &Script, patience: Duration) -> Result<(), CallStatus> {
    let pace = leg.stage().pace();
    let (rings, result) = match &person.pickup {
        Pickup::Busy | Pickup::Failed => {
            tokio::time::sleep(pace.ring()).await;
            let busy = person.pickup == Pickup::Busy;
            return Err(if busy { CallStatus::Busy } else { CallStatus::Failed });
        }
        _ if person.leaves_at(Moment::Ringing) => (pace.ring(), Err(CallStatus::Busy)),
        Pickup::NoAnswer => (pace.unanswered(), Err(CallStatus::NoAnswer)),
        Pickup::Answer { after_ms: Some(ms) } => (Duration::from_millis(*ms), Ok(())),
        Pickup::Answer { after_ms: None } | Pickup::Voicemail => (pace.ring(), Ok(())),
    };
    leg.ringing();
    if rings > patience {
        tokio::time::sleep(patience).await;
        return Err(CallStatus::NoAnswer);
    }
    tokio::time::sleep(rings).await;
    result
}

impl Player<'_> {
    pub(crate) async fn dial(&mut self, dial: &Dial) -> Result<Next, End> {
        let outcome = if self.person.leaves_at(Moment::Dial) {
            self.leave_while_it_rings(dial).await
        } else {
            match self.ring_all(dial).await {
                Rung::Joined(callee, person) => self.bridge(dial, *callee, &person).await,
                Rung::Over { sid, status } => {
                    Outcome { status, sid, seconds: 0, bridged: false, recording: Params::new(), left: false }
                }
            }
        };
        self.leg.seconds = self.leg.seconds.saturating_add(RUNG_SECONDS + outcome.seconds);
        let Some(action) = &dial.action else {
            return if outcome.left { Err(End::Left) } else { Ok(Next::Verb) };
        };
        let page = Page { link: self.resolve(action)?, params: outcome.params() };
        if outcome.left {
            // Twilio still tells how the dial went; whatever the script says, nobody hears it.
            self.leg.end(CallStatus::Completed);
            self.fetch_unheard(page).await;
            return Err(End::Left);
        }
        Ok(Next::Script(page))
    }

    fn open_legs(&self, dial: &Dial) -> Vec<(Leg, Number)> {
        let from = dial.caller_id.as_ref().unwrap_or(&self.leg.from);
        let open = |number: &Number| {
            let new = NewLeg {
                to: number.to.clone(),
                from: from.clone(),
                direction: Direction::OutboundDial,
                parent: Some(self.leg.sid.clone()),
                url: number.screen.as_ref().map(|link| link.url.clone()),
                hook: number.hook.clone(),
            };
            (Leg::open(self.leg.stage(), new), number.clone())
        };
        dial.numbers.iter().map(open).collect()
    }

    /// Rings all numbers together, or one after the other. The first that takes the call ends the ringing of the rest.
    async fn ring_all(&mut self, dial: &Dial) -> Rung {
        let patience = Duration::from_secs(u64::from(dial.timeout_s));
        let mut ended = Vec::new();
        if dial.sequential {
            for (leg, number) in self.open_legs(dial) {
                match self.ring(leg, &number, patience).await {
                    Rung::Over { sid, status } => ended.push((sid, status)),
                    joined @ Rung::Joined(..) => return joined,
                }
            }
        } else {
            let legs = self.open_legs(dial);
            let player = &*self;
            let mut ringing: FuturesUnordered<_> = legs
                .into_iter()
                .map(|(leg, number)| async move { player.ring(leg, &number, patience).await })
                .collect();
            while let Some(rung) = ringing.next().await {
                match rung {
                    Rung::Over { sid, status } => ended.push((sid, status)),
                    joined @ Rung::Joined(..) => return joined,
                }
            }
        }
        let busiest = [CallStatus::Busy, CallStatus::NoAnswer, CallStatus::Failed];
        let found = busiest.iter().find_map(|wanted| ended.iter().find(|(_, status)| status == wanted));
        let (sid, status) = found.or(ended.first()).cloned().unwrap_or((String::new(), CallStatus::Failed));
        Rung::Over { sid, status }
    }

    async fn ring(&self, mut leg: Leg, number: &Number, patience: Duration) -> Rung {
        leg.initiated();
        let person = leg.stage().script_for_call(&leg.to);
        if let Err(status) = pick_up(&mut leg, &person, patience).await {
            leg.end(status);
            return Rung::Over { sid: leg.sid.clone(), status };
        }
        leg.answered();
        let Some(screen) = &number.screen else { return Rung::Joined(Box::new(leg), person) };
        let Ok(link) = self.resolve(screen) else {
            return Rung::Over { sid: leg.sid.clone(), status: CallStatus::Failed };
        };
        let mut player = Player::new(&mut leg, &person);
        player.screening = true;
        if player.play(&Document::Page(Page::new(link))).await.is_ok() {
            return Rung::Joined(Box::new(leg), person);
        }
        leg.end(CallStatus::Completed);
        Rung::Over { sid: leg.sid.clone(), status: CallStatus::NoAnswer }
    }

    /// Two people talk. The customer's script says what: the caller's own when our number was called.
    async fn bridge(&mut self, dial: &Dial, mut callee: Leg, person: &Script) -> Outcome {
        self.leg.answered();
        let caller_is_customer = self.leg.direction == Direction::Inbound && !person.is_machine();
        let talk = if caller_is_customer { &self.person.conversation } else { &person.conversation };
        let left = self.person.leaves_at(Moment::Talk);
        let cut_short = left || person.leaves_at(Moment::Talk);
        let planned = if cut_short { talk.seconds / 2 } else { talk.seconds };
        let seconds = planned.min(dial.time_limit_s).min(self.limit_s.saturating_sub(self.leg.seconds));
        self.leg.words = talk.text();
        let tape = dial.taping.as_ref().map(|taping| Tape::start(self.leg, "DialVerb", taping.clone(), talk.text()));
        tokio::time::sleep(talk.lasts(self.leg.stage().pace().talks())).await;
        callee.seconds = callee.seconds.saturating_add(seconds);
        callee.end(CallStatus::Completed);
        let recording = tape.map(|tape| tape.finish(seconds)).unwrap_or_default();
        let sid = callee.sid.clone();
        Outcome { status: CallStatus::Completed, sid, seconds, bridged: true, recording, left }
    }

    async fn leave_while_it_rings(&mut self, dial: &Dial) -> Outcome {
        let mut legs = self.open_legs(dial);
        for (leg, _) in &mut legs {
            leg.initiated();
            leg.ringing();
        }
        tokio::time::sleep(self.leg.stage().pace().ring()).await;
        let sid = legs.first().map(|(leg, _)| leg.sid.clone()).unwrap_or_default();
        Outcome { status: CallStatus::Canceled, sid, seconds: 0, bridged: false, recording: Params::new(), left: true }
    }
}
