//! One leg of a call: its row in the ledger, its progress and the callbacks about it.

use std::sync::Arc;

use crate::clock::{now, rfc2822};
use crate::faults::CallbackKind;
use crate::ledger::{Call, CallStatus, Direction};
use crate::stage::{Stage, new_sid};
use crate::twilio::callbacks::{Delivery, Lane};
use crate::twilio::form::{Params, pair};
use crate::twilio::request::{Hook, Link};

/// A leg to be opened.
pub(crate) struct NewLeg {
    pub to: String,
    pub from: String,
    pub direction: Direction,
    pub parent: Option<String>,
    pub url: Option<String>,
    pub hook: Option<Hook>,
}

/// One leg of a call. Dropped before its end it is hung up: that is how an interrupted call takes its legs along.
pub(crate) struct Leg {
    stage: Arc<Stage>,
    pub sid: String,
    pub to: String,
    pub from: String,
    pub direction: Direction,
    parent: Option<String>,
    hook: Option<Hook>,
    lane: Option<Lane>,
    sequence: u32,
    status: CallStatus,
    /// Seconds since the answer, as reported; most of them are not waited for.
    pub seconds: u32,
    /// What is said on it once it is connected.
    pub words: String,
    /// What detection heard, once it has.
    answered_by: Option<&'static str>,
}

impl Leg {
    pub(crate) fn open(stage: &Arc<Stage>, new: NewLeg) -> Self {
        let sid = new_sid("CA");
        stage.book().add_call(Call {
            sid: sid.clone(),
            parent_sid: new.parent.clone(),
            direction: new.direction,
            to: new.to.clone(),
            from: new.from.clone(),
            status: CallStatus::Queued,
            url: new.url,
            status_callback: new.hook.as_ref().map(|hook| hook.link.url.clone()),
            created_at: now(),
            rung_at: None,
            answered_at: None,
            ended_at: None,
            duration: None,
            queue_ms: 0,
            answered_by: None,
            pressed: Vec::new(),
            twiml_fetches: Vec::new(),
        });
        let lane = new.hook.as_ref().map(|_| Lane::open(stage));
        Self {
            stage: Arc::clone(stage),
            sid,
            to: new.to,
            from: new.from,
            direction: new.direction,
            parent: new.parent,
            hook: new.hook,
            lane,
            sequence: 0,
            status: CallStatus::Queued,
            seconds: 0,
            words: String::new(),
            answered_by: None,
        }
    }

    pub(crate) fn stage(&self) -> &Arc<Stage> {
        &self.stage
    }

    pub(crate) fn status(&self) -> CallStatus {
        self.status
    }

    /// The network was asked to ring.
    pub(crate) fn initiated(&mut self) {
        self.tell("initiated", "initiated", None);
    }

    /// The phone rings.
    pub(crate) fn ringing(&mut self) {
        self.status = CallStatus::Ringing;
        self.note(|call| {
            call.status = CallStatus::Ringing;
            call.rung_at = Some(now());
        });
        self.tell("ringing", "ringing", None);
    }

    /// Somebody is on the line; said again it changes nothing.
    pub(crate) fn answered(&mut self) {
        if self.status == CallStatus::InProgress || self.status.is_final() {
            return;
        }
        self.status = CallStatus::InProgress;
        self.note(|call| {
            call.status = CallStatus::InProgress;
            call.answered_at = Some(now());
        });
        self.tell("answered", "in-progress", None);
    }

    /// It is over; said again it changes nothing.
    pub(crate) fn end(&mut self, status: CallStatus) {
        if self.status.is_final() {
            return;
        }
        let seconds = if self.status == CallStatus::InProgress { self.seconds } else { 0 };
        self.status = status;
        self.note(|call| {
            call.status = status;
            call.ended_at = Some(now());
            call.duration = Some(seconds);
        });
        self.tell("completed", status.as_str(), Some(seconds));
    }

    /// Detection heard who answered; an asynchronous one tells `hook`, else the next script hears of it.
    pub(crate) fn detected(&mut self, answered_by: &'static str, tell: Option<&Link>) {
        self.note(|call| call.answered_by = Some(answered_by.to_owned()));
        let Some(link) = tell else {
            self.answered_by = Some(answered_by);
            return;
        };
        let mut params = self.params();
        params.push(pair("AnsweredBy", answered_by));
        params.push(pair("MachineDetectionDuration", "2400"));
        self.post("amd", link.clone(), params);
    }

    /// The parameters of every voice request.
    pub(crate) fn params(&self) -> Params {
        self.params_as(self.status.as_str())
    }

    fn params_as(&self, status: &str) -> Params {
        let mut params = vec![
            pair("CallSid", &self.sid),
            pair("AccountSid", &self.stage.options.account_sid),
            pair("From", &self.from),
            pair("To", &self.to),
            pair("Caller", &self.from),
            pair("Called", &self.to),
            pair("CallStatus", status),
            pair("Direction", self.direction.as_str()),
            pair("ApiVersion", "2010-04-01"),
            pair("FromCity", ""),
            pair("ToCity", ""),
        ];
        params.extend(self.parent.as_ref().map(|parent| pair("ParentCallSid", parent)));
        params.extend(self.answered_by.map(|who| pair("AnsweredBy", who)));
        params
    }

    /// Changes the leg's row in the ledger.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Call)) {
        if let Some(call) = self.stage.book().call_mut(&self.sid) {
            change(call);
        }
    }

    fn tell(&mut self, event: &'static str, status: &str, seconds: Option<u32>) {
        let Some(hook) = self.hook.as_ref().filter(|hook| hook.wants(event)) else { return };
        let link = hook.link.clone();
        let mut params = self.params_as(status);
        params.push(pair("CallbackSource", "call-progress-events"));
        params.push(pair("Timestamp", rfc2822(now())));
        params.push(pair("SequenceNumber", self.sequence.to_string()));
        if let Some(seconds) = seconds {
            params.push(pair("CallDuration", seconds.to_string()));
            params.push(pair("Duration", seconds.div_ceil(60).to_string()));
            params.push(pair("SipResponseCode", sip_code(status)));
        }
        self.sequence += 1;
        self.post(event, link, params);
    }

    fn post(&mut self, event: &'static str, link: Link, params: Params) {
        let kind = if self.parent.is_some() { CallbackKind::Leg } else { CallbackKind::Status };
        let lane = self.lane.get_or_insert_with(|| Lane::open(&self.stage));
        lane.post(Delivery { kind, event, about: self.to.clone(), link, params });
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        if self.stage.over.is_cancelled() {
            return;
        }
        let answered = self.status == CallStatus::InProgress;
        self.end(if answered { CallStatus::Completed } else { CallStatus::Canceled });
    }
}

fn sip_code(status: &str) -> &'static str {
    match status {
        "busy" => "486",
        "no-answer" | "canceled" => "487",
        "failed" => "404",
        _ => "200",
    }
}
