//! A bridge's calls as their reports tell them, in any order and any number of times.
//!
//! Every fact only grows: learning a report takes the greater of what was known and what is said, so order and repetition
//! cannot matter. What is done next is a function of the facts; it is written where it is done, in the call actor.

use serde::{Deserialize, Serialize};

/// How a leg ended, the weakest proof first: a conversation outweighs a doubt about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "end")]
pub enum End {
    /// Taken back before anybody answered.
    Cancelled,
    /// Could not be placed.
    Failed,
    /// Rang out.
    NoAnswer,
    /// Engaged.
    Busy,
    /// Answered and hung up.
    Completed {
        /// Length of the leg.
        seconds: u32,
    },
}

/// How far a leg has come. The derived order is the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "at")]
pub enum Progress {
    /// Nothing was heard.
    #[default]
    Unheard,
    /// The provider is placing it.
    Dialing,
    /// The phone rings.
    Ringing,
    /// Somebody, or something, picked up.
    Answered,
    /// It is over.
    Over(End),
}

impl Progress {
    /// Whether the phone was picked up.
    pub const fn was_answered(self) -> bool {
        matches!(self, Self::Answered | Self::Over(End::Completed { .. }))
    }

    /// Whether the phone rang.
    pub const fn rang(self) -> bool {
        matches!(self, Self::Ringing | Self::Over(End::NoAnswer)) || self.was_answered()
    }

    /// How it ended, once it has.
    pub const fn end(self) -> Option<End> {
        match self {
            Self::Over(end) => Some(end),
            _ => None,
        }
    }

    /// Length of the leg, seconds; zero unless it was answered and is over.
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Over(End::Completed { seconds }) => seconds,
            _ => 0,
        }
    }
}

/// Which leg of the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// The first call: to the owner of the business.
    Boss,
    /// The second: to the person who asked.
    Customer,
}

/// What the boss chose. The derived order is the rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// No key.
    #[default]
    None,
    /// Another key.
    Declined,
    /// Pressed 1.
    Accepted,
}

/// The recording of the conversation. The derived order is the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "recording")]
pub enum Recording {
    /// Nothing was heard.
    #[default]
    Unheard,
    /// Under way.
    InProgress,
    /// There is none.
    Absent,
    /// It can be fetched.
    Ready {
        /// The provider's id.
        sid: String,
        /// Its length.
        seconds: u32,
    },
}

/// What one callback, or one look at the provider, says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "report")]
pub enum Report {
    /// How far a leg has come.
    Leg {
        /// Which one.
        leg: Leg,
        /// How far.
        progress: Progress,
    },
    /// The boss picked up and is being told who waits.
    Whisper,
    /// The boss pressed a key.
    Press {
        /// Whether it was the key that connects, and this call had the bridge.
        accepted: bool,
    },
    /// About the recording.
    Recording(Recording),
    /// The text message went out, or could not.
    Message {
        /// Whether the provider gave up on it.
        failed: bool,
    },
    /// Something we do not act on, kept for the record.
    Other,
}

/// How a bridge ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Ending {
    /// Boss and customer spoke.
    Connected {
        /// For so long.
        seconds: u32,
    },
    /// The boss pressed 1, the customer did not answer.
    CustomerUnreached,
    /// The boss chose not to.
    Declined,
    /// Somebody, or a machine, picked up and no key came.
    NoKey,
    /// The boss did not pick up.
    BossUnreached,
    /// Somebody asked for the end before they spoke.
    Cancelled,
}

impl Ending {
    /// Its name on leads, tickets and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::CustomerUnreached => "customer_unreached",
            Self::Declined => "declined",
            Self::NoKey => "no_key",
            Self::BossUnreached => "boss_unreached",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The stages of a bridge that a person would want to see, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The boss's phone rings.
    BossRinging,
    /// The boss picked up.
    BossAnswered,
    /// The boss pressed 1.
    BossAccepted,
    /// The customer's phone rings.
    CustomerRinging,
    /// They speak.
    CustomerConnected,
}

impl Stage {
    /// Its name in the journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BossRinging => "boss_ringing",
            Self::BossAnswered => "boss_answered",
            Self::BossAccepted => "boss_accepted",
            Self::CustomerRinging => "customer_ringing",
            Self::CustomerConnected => "customer_connected",
        }
    }
}

/// All that is known of a bridge's call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The boss's leg.
    pub boss: Progress,
    /// The boss's choice.
    pub choice: Choice,
    /// The customer's leg.
    pub customer: Progress,
    /// The recording.
    pub recording: Recording,
}

impl Facts {
    /// What these reports tell together.
    pub fn of<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Self {
        let mut facts = Self::default();
        for report in reports {
            facts.learn(report);
        }
        facts
    }

    /// Takes the greater of what was known and what is said.
    pub fn learn(&mut self, report: &Report) {
        match report {
            Report::Leg { leg: Leg::Boss, progress } => self.boss = self.boss.max(*progress),
            Report::Leg { leg: Leg::Customer, progress } => self.customer = self.customer.max(*progress),
            Report::Whisper => self.boss = self.boss.max(Progress::Answered),
            Report::Press { accepted } => {
                self.boss = self.boss.max(Progress::Answered);
                self.choice = self.choice.max(if *accepted { Choice::Accepted } else { Choice::Declined });
            }
            Report::Recording(recording) => self.recording = self.recording.clone().max(recording.clone()),
            Report::Message { .. } | Report::Other => {}
        }
    }

    /// The stages that these facts prove: a later one proves those before it.
    pub fn stages(&self) -> Vec<Stage> {
        let connected = self.customer.was_answered();
        let customer_rang = connected || self.customer.rang();
        let accepted = customer_rang || self.choice == Choice::Accepted;
        let answered = accepted || self.choice == Choice::Declined || self.boss.was_answered();
        let rang = answered || self.boss.rang();
        [
            (rang, Stage::BossRinging),
            (answered, Stage::BossAnswered),
            (accepted, Stage::BossAccepted),
            (customer_rang, Stage::CustomerRinging),
            (connected, Stage::CustomerConnected),
        ]
        .into_iter()
        .filter_map(|(proven, stage)| proven.then_some(stage))
        .collect()
    }

    /// How the bridge ended, once nothing can change it: after a key press both legs must be over, since their reports
    /// come in any order.
    pub fn ending(&self) -> Option<Ending> {
        let boss = self.boss.end()?;
        if self.choice == Choice::Accepted {
            return Some(match self.customer.end()? {
                End::Completed { seconds } => Ending::Connected { seconds },
                _ => Ending::CustomerUnreached,
            });
        }
        Some(match (boss, self.choice) {
            (_, Choice::Declined) => Ending::Declined,
            (End::Completed { .. }, _) => Ending::NoKey,
            (End::Cancelled, _) => Ending::Cancelled,
            _ => Ending::BossUnreached,
        })
    }

    /// Whether boss and customer are speaking or have spoken.
    pub const fn connected(&self) -> bool {
        self.customer.was_answered()
    }

    /// Started minutes of both legs, which is what the provider bills.
    pub const fn billed_minutes(&self) -> u32 {
        self.boss.seconds().div_ceil(60) + self.customer.seconds().div_ceil(60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn progress() -> impl Strategy<Value = Progress> {
        prop_oneof![
            Just(Progress::Dialing),
            Just(Progress::Ringing),
            Just(Progress::Answered),
            Just(Progress::Over(End::Failed)),
            Just(Progress::Over(End::NoAnswer)),
            Just(Progress::Over(End::Busy)),
            Just(Progress::Over(End::Cancelled)),
            (0_u32..600).prop_map(|seconds| Progress::Over(End::Completed { seconds })),
        ]
    }

    fn report() -> impl Strategy<Value = Report> {
        prop_oneof![
            progress().prop_map(|progress| Report::Leg { leg: Leg::Boss, progress }),
            progress().prop_map(|progress| Report::Leg { leg: Leg::Customer, progress }),
            Just(Report::Whisper),
            any::<bool>().prop_map(|accepted| Report::Press { accepted }),
            Just(Report::Recording(Recording::InProgress)),
            Just(Report::Recording(Recording::Absent)),
            (1_u32..99).prop_map(|n| Report::Recording(Recording::Ready { sid: format!("RE{n}"), seconds: n })),
        ]
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter(
            (reports, shuffled) in prop::collection::vec(report(), 1..12)
                .prop_flat_map(|reports| {
                    let twice = [reports.clone(), reports.clone()].concat();
                    (Just(reports), Just(twice).prop_shuffle())
                })
        ) {
            prop_assert_eq!(Facts::of(&reports), Facts::of(&shuffled));
            prop_assert_eq!(Facts::of(&reports).ending(), Facts::of(&shuffled).ending());
        }

        #[test]
        fn a_proof_of_a_conversation_is_never_taken_back(reports in prop::collection::vec(report(), 1..12), late in report()) {
            let mut facts = Facts::of(&reports);
            let before = facts.clone();
            facts.learn(&late);
            prop_assert!(!before.connected() || facts.connected() || facts.customer.end().is_some());
            prop_assert!(facts.choice >= before.choice && facts.boss >= before.boss && facts.recording >= before.recording);
        }

        #[test]
        fn any_lost_status_that_is_looked_up_later_gives_the_same_ending(
            kept in prop::collection::vec(any::<bool>(), 10), seconds in 1_u32..600
        ) {
            let whole = a_good_call(seconds);
            let said: Vec<_> = whole.iter().zip(kept).filter_map(|(report, kept)| kept.then_some(report.clone())).collect();
            // The key press is a question, not a notice: it is committed before the answer that connects.
            let looked_up = [
                Report::Press { accepted: true },
                Report::Leg { leg: Leg::Boss, progress: Progress::Over(End::Completed { seconds: seconds + 9 }) },
                Report::Leg { leg: Leg::Customer, progress: Progress::Over(End::Completed { seconds }) },
            ];
            let facts = Facts::of(said.iter().chain(&looked_up));
            prop_assert_eq!(facts.ending(), Facts::of(&whole).ending());
            prop_assert_eq!(facts.stages(), Facts::of(&whole).stages());
        }

        #[test]
        fn without_the_key_nobody_is_connected(reports in prop::collection::vec(progress(), 1..8)) {
            let reports: Vec<_> =
                reports.into_iter().map(|progress| Report::Leg { leg: Leg::Boss, progress }).collect();
            let facts = Facts::of(&reports);
            let ending = facts.ending();
            prop_assert!(!matches!(ending, Some(Ending::Connected { .. } | Ending::CustomerUnreached)), "{:?}", ending);
        }
    }

    fn a_good_call(seconds: u32) -> Vec<Report> {
        let leg = |leg, progress| Report::Leg { leg, progress };
        vec![
            leg(Leg::Boss, Progress::Dialing),
            leg(Leg::Boss, Progress::Ringing),
            Report::Whisper,
            leg(Leg::Boss, Progress::Answered),
            Report::Press { accepted: true },
            leg(Leg::Customer, Progress::Ringing),
            leg(Leg::Customer, Progress::Answered),
            leg(Leg::Customer, Progress::Over(End::Completed { seconds })),
            leg(Leg::Boss, Progress::Over(End::Completed { seconds: seconds + 9 })),
            Report::Recording(Recording::Ready { sid: "RE1".into(), seconds }),
        ]
    }

    #[test]
    fn the_end_waits_for_both_legs_after_a_key_press() {
        let over = Progress::Over(End::Completed { seconds: 50 });
        let mut facts = Facts::of(&[Report::Press { accepted: true }, Report::Leg { leg: Leg::Boss, progress: over }]);
        assert_eq!(facts.ending(), None, "the customer's leg is not told yet");
        facts.learn(&Report::Leg { leg: Leg::Customer, progress: Progress::Over(End::Completed { seconds: 41 }) });
        assert_eq!(facts.ending(), Some(Ending::Connected { seconds: 41 }));
    }

    #[test]
    fn a_voicemail_that_answers_is_no_key() {
        let facts = Facts::of(&[
            Report::Whisper,
            Report::Leg { leg: Leg::Boss, progress: Progress::Over(End::Completed { seconds: 20 }) },
        ]);
        assert_eq!(facts.ending(), Some(Ending::NoKey));
    }

    #[test]
    fn each_leg_is_billed_by_the_started_minute() {
        let facts = Facts::of(&a_good_call(61));
        assert_eq!(facts.billed_minutes(), 2 + 2);
    }
}
