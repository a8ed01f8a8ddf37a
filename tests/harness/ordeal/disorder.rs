//! The people of a run and what goes wrong around them.

use apex_sandbox::{Burst, Chances, Faults, GeminiChances, Moment, RequestChances, Sandbox, Script};

use super::Plan;
use crate::dice::Dice;

/// Late callbacks come after so much, milliseconds, and up to as much again and once more.
const LATE_MS: u64 = 60_000;

/// The phone of the boss of project `nth`.
pub fn boss(nth: usize) -> String {
    format!("+6421{:07}", 1_000_000 + nth)
}

/// The phone of the customer who sends lead `nth`: each has one of their own.
pub fn customer(nth: usize) -> String {
    format!("+6427{:07}", 2_000_000 + nth)
}

impl Plan {
    pub(super) fn set_scene(&self, sandbox: &Sandbox) {
        let mut dice = Dice::new(self.seed ^ 0xb055);
        let calls_per_boss = self.leads.div_ceil(self.projects.max(1)) * 2;
        for nth in 0..self.projects {
            sandbox.scripts(&boss(nth), (0..calls_per_boss).map(|_| bossy(&mut dice)).collect());
        }
        for nth in 0..self.leads {
            sandbox.script(&customer(nth), waiting(&mut dice));
        }
        if self.disorder {
            sandbox.faults(disorder(self.seed));
        }
    }
}

/// Most bosses answer and press 1.
fn bossy(dice: &mut Dice) -> Script {
    let rings_ms = dice.below(600);
    let answers = Script::answers().after_ms(rings_ms);
    match dice.below(100) {
        0..74 => answers,
        74..80 => answers.stays_silent(),
        80..84 => answers.hangs_up_when_asked(),
        84..88 => Script::voicemail(),
        88..92 => Script::busy(),
        92..96 => Script::no_answer(),
        96..99 => answers.hangs_up_during(Moment::Ringing),
        _ => Script::failed(),
    }
}

/// Most customers answer and talk for a while.
fn waiting(dice: &mut Dice) -> Script {
    let talks_ms = dice.below(1500);
    match dice.below(100) {
        0..90 => Script::answers().talk_lasts_ms(talks_ms),
        90..94 => Script::no_answer(),
        94..97 => Script::busy(),
        97..99 => Script::voicemail(),
        _ => Script::failed(),
    }
}

/// One answer in ten is lost after the provider has acted; callbacks are lost, doubled, minutes late and out of order;
/// requests are refused one by one and in bursts; the model fails.
fn disorder(seed: u64) -> Faults {
    let callbacks = Chances { lost: 8, doubled: 8, late: 4, late_ms: LATE_MS, reordered: 8 };
    let requests = RequestChances {
        lost_after_acting: 10,
        lost_without_acting: 2,
        too_many: 3,
        server_error: 2,
        server_error_after_acting: 1,
    };
    Faults {
        seed,
        status: callbacks,
        leg: callbacks,
        recording: callbacks,
        message: callbacks,
        calls: requests,
        messages: requests,
        gemini: GeminiChances { http_500: 4, quota: 3, timeout: 1, truncated: 2, blocked: 1 },
        bursts: vec![Burst { every: 400, length: 20, status: 429 }, Burst { every: 700, length: 20, status: 500 }],
        late_spread_ms: LATE_MS * 2,
        ..Faults::default()
    }
}
