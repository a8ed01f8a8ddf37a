//! A call from its request to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::control::Incoming;
use crate::ledger::{Call, CallStatus, Direction};
use crate::script::Script;
use crate::stage::Stage;
use crate::twilio::dial::pick_up;
use crate::twilio::leg::{Leg, NewLeg};
use crate::twilio::player::{Document, End, Page, Player};
use crate::twilio::request::{Hook, Link};
use crate::twilio::tape::{Tape, Taping};

/// What the account orders about a running call.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// Stop it unless somebody answered.
    Cancel,
    /// End it, whatever it does.
    Complete,
    /// Go on with another script.
    Redirect(Document),
}

/// A call that is asked for.
pub(crate) struct Plan {
    pub to: String,
    pub from: String,
    pub document: Document,
    pub fallback: Option<Link>,
    pub hook: Option<Hook>,
    /// How long it rings.
    pub patience: Duration,
    /// How long it may last, seconds.
    pub limit_s: u32,
    pub taping: Option<Taping>,
    pub detection: Option<Detection>,
}

/// Who answers is listened for.
pub(crate) struct Detection {
    /// Told while the script already runs; else the script waits and is told.
    pub tell: Option<Link>,
}

struct Run {
    leg: Leg,
    person: Arc<Script>,
    /// How long it waits in the account's queue.
    queue: Duration,
    patience: Duration,
    limit_s: u32,
    fallback: Option<Link>,
    taping: Option<Taping>,
    tape: Option<Tape>,
    detection: Option<Detection>,
}

/// Takes a call into the queue and gives its row.
pub(crate) fn place(stage: &Arc<Stage>, plan: Plan) -> Option<Call> {
    let url = match &plan.document {
        Document::Page(page) => Some(page.link.url.clone()),
        Document::Inline(_) => None,
    };
    let person = stage.script_for_call(&plan.to);
    let leg = Leg::open(
        stage,
        NewLeg { to: plan.to, from: plan.from, direction: Direction::OutboundApi, parent: None, url, hook: plan.hook },
    );
    let sid = leg.sid.clone();
    let run = Run {
        leg,
        person,
        queue: stage.take_turn(),
        patience: plan.patience,
        limit_s: plan.limit_s,
        fallback: plan.fallback,
        taping: plan.taping,
        tape: None,
        detection: plan.detection,
    };
    start(stage, run, plan.document);
    stage.book().call(&sid).cloned()
}

/// Somebody calls our number.
pub(crate) fn incoming(stage: &Arc<Stage>, incoming: Incoming) -> String {
    let person = stage.script_for_call(&incoming.from);
    let hook = incoming.status_callback.map(|url| Hook::new(Link::new(&url, None), Vec::new()));
    let (to, from, url) = (incoming.to, incoming.from, Some(incoming.url.clone()));
    let mut leg = Leg::open(stage, NewLeg { to, from, direction: Direction::Inbound, parent: None, url, hook });
    leg.ringing();
    let sid = leg.sid.clone();
    let run = Run {
        leg,
        person,
        queue: Duration::ZERO,
        patience: Duration::MAX,
        limit_s: u32::MAX,
        fallback: None,
        taping: None,
        tape: None,
        detection: None,
    };
    start(stage, run, Document::Page(Page::new(Link::new(&incoming.url, None))));
    sid
}

fn start(stage: &Arc<Stage>, run: Run, document: Document) {
    let orders = stage.listen(&run.leg.sid);
    stage.spawn(conduct(run, document, orders));
}

/// Plays the call until it ends or is ordered to. What is interrupted takes its legs and recordings along: they end
/// when they are dropped.
async fn conduct(mut run: Run, mut document: Document, mut orders: UnboundedReceiver<Order>) {
    let status = loop {
        tokio::select! {
            biased;
            Some(order) = orders.recv() => match order {
                Order::Redirect(next) => document = next,
                Order::Complete => break run.stopped(),
                Order::Cancel if run.leg.status() != CallStatus::InProgress => break CallStatus::Canceled,
                Order::Cancel => {}
            },
            status = run.play(&document) => break status,
        }
    };
    run.leg.stage().stop_listening(&run.leg.sid);
    run.finish(status);
}

impl Run {
    async fn play(&mut self, document: &Document) -> CallStatus {
        if let Err(status) = self.connect().await {
            return status;
        }
        let mut player = Player::new(&mut self.leg, &self.person);
        player.limit_s = self.limit_s;
        player.fallback.clone_from(&self.fallback);
        let ended = player.play(document).await;
        if let Err(End::Rejected { busy }) = ended {
            return if busy { CallStatus::Busy } else { CallStatus::NoAnswer };
        }
        // A call that nobody took before its script ended was answered by Twilio itself.
        self.leg.answered();
        CallStatus::Completed
    }

    /// Until somebody is on the line. A call that comes in is rung already; its script takes it or not.
    async fn connect(&mut self) -> Result<(), CallStatus> {
        if self.leg.status() == CallStatus::InProgress || self.leg.direction == Direction::Inbound {
            return Ok(());
        }
        if !self.queue.is_zero() {
            let queue_ms = u64::try_from(self.queue.as_millis()).unwrap_or(u64::MAX);
            self.leg.note(|call| call.queue_ms = queue_ms);
            tokio::time::sleep(self.queue).await;
        }
        self.leg.initiated();
        pick_up(&mut self.leg, &self.person, self.patience).await?;
        self.leg.answered();
        let taping = self.taping.take();
        self.tape = taping.map(|taping| Tape::start(&self.leg, "OutboundAPI", taping, String::new()));
        if let Some(detection) = self.detection.take() {
            let who = if self.person.is_machine() { "machine_start" } else { "human" };
            self.leg.detected(who, detection.tell.as_ref());
        }
        Ok(())
    }

    fn stopped(&self) -> CallStatus {
        if self.leg.status() == CallStatus::InProgress { CallStatus::Completed } else { CallStatus::Canceled }
    }

    fn finish(mut self, status: CallStatus) {
        self.leg.seconds = self.leg.seconds.min(self.limit_s);
        let seconds = self.leg.seconds.max(1);
        self.leg.end(status);
        if let Some(tape) = self.tape.take() {
            tape.hears(&self.leg.words);
            tape.finish(seconds);
        }
    }
}
