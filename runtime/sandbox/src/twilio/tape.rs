//! Recordings while they are made.

use std::sync::Arc;

use crate::clock::{now, rfc2822};
use crate::faults::CallbackKind;
use crate::ledger::{Recording, RecordingStatus};
use crate::stage::{Stage, new_sid};
use crate::twilio::callbacks::{Delivery, Lane};
use crate::twilio::form::{Params, pair};
use crate::twilio::leg::Leg;
use crate::twilio::request::Hook;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taping {
    pub dual: bool,
    pub hook: Option<Hook>,
}

/// A recording in the making. Dropped before its end it is kept as it is.
pub(crate) struct Tape {
    stage: Arc<Stage>,
    sid: String,
    call_sid: String,
    about: String,
    source: &'static str,
    started: String,
    taping: Taping,
    lane: Option<Lane>,
    done: bool,
}

impl Tape {
    /// Begins to record `leg`, on which `text` will be said.
    pub(crate) fn start(leg: &Leg, source: &'static str, taping: Taping, text: String) -> Self {
        let stage = Arc::clone(leg.stage());
        let (sid, started_at) = (new_sid("RE"), now());
        stage.book().add_recording(Recording {
            sid: sid.clone(),
            call_sid: leg.sid.clone(),
            status: RecordingStatus::InProgress,
            channels: if taping.dual { 2 } else { 1 },
            source: source.to_owned(),
            duration: None,
            text,
            started_at,
            media_tries: 0,
        });
        let tape = Self {
            lane: taping.hook.as_ref().map(|_| Lane::open(&stage)),
            stage,
            sid,
            call_sid: leg.sid.clone(),
            about: leg.to.clone(),
            source,
            started: rfc2822(started_at),
            taping,
            done: false,
        };
        tape.tell(RecordingStatus::InProgress, None);
        tape
    }

    /// Sets what is said on it, where that is known only later.
    pub(crate) fn hears(&self, text: &str) {
        if let Some(recording) = self.stage.book().recording_mut(&self.sid) {
            text.clone_into(&mut recording.text);
        }
    }

    /// Ends it; 0 seconds: there was nothing to record. Gives the parameters that tell a script of it.
    pub(crate) fn finish(mut self, seconds: u32) -> Params {
        self.close(seconds);
        if seconds == 0 {
            return Params::new();
        }
        vec![
            pair("RecordingUrl", self.url()),
            pair("RecordingSid", &self.sid),
            pair("RecordingDuration", seconds.to_string()),
        ]
    }

    fn close(&mut self, seconds: u32) {
        self.done = true;
        let status = if seconds == 0 { RecordingStatus::Absent } else { RecordingStatus::Completed };
        if let Some(recording) = self.stage.book().recording_mut(&self.sid) {
            recording.status = status;
            recording.duration = Some(seconds);
        }
        self.tell(status, Some(seconds));
    }

    fn url(&self) -> String {
        let (base, account) = (&self.stage.base, &self.stage.options.account_sid);
        format!("{base}/2010-04-01/Accounts/{account}/Recordings/{}", self.sid)
    }

    fn tell(&self, status: RecordingStatus, seconds: Option<u32>) {
        let event = status.as_str();
        let Some(hook) = self.taping.hook.as_ref().filter(|hook| hook.wants(event)) else { return };
        let mut params = vec![
            pair("AccountSid", &self.stage.options.account_sid),
            pair("CallSid", &self.call_sid),
            pair("RecordingSid", &self.sid),
            pair("RecordingUrl", self.url()),
            pair("RecordingStatus", event),
            pair("RecordingChannels", if self.taping.dual { "2" } else { "1" }),
            pair("RecordingStartTime", &self.started),
            pair("RecordingSource", self.source),
            pair("RecordingTrack", "both"),
            pair("ErrorCode", "0"),
        ];
        params.extend(seconds.map(|seconds| pair("RecordingDuration", seconds.to_string())));
        if let Some(lane) = &self.lane {
            let (about, link) = (self.about.clone(), hook.link.clone());
            lane.post(Delivery { kind: CallbackKind::Recording, event, about, link, params });
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        if !self.done && !self.stage.over.is_cancelled() {
            self.close(1);
        }
    }
}
