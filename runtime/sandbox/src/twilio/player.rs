//! Runs scripts on one leg: fetches them, does what they say, goes where they lead.

use std::time::Duration;

use url::Url;

use crate::ledger::{Direction, TwimlFetch};
use crate::script::{Keypress, Moment, Script};
use crate::twilio::form::{Params, pair};
use crate::twilio::leg::Leg;
use crate::twilio::request::{Answer, Link, Silence};
use crate::twilio::tape::Tape;
use crate::twilio::verbs::{self, Gather, Record, Verb};

/// A script slower than this is a broken rule, though Twilio waits for 15 seconds.
const SLOW_MS: u64 = 5000;
/// More scripts than this in one call go round in circles.
const MOST_SCRIPTS: u32 = 50;
/// What one sentence takes, in reported seconds.
const SAID_SECONDS: u32 = 3;

/// Where a script comes from.
#[derive(Clone, Debug)]
pub(crate) enum Document {
    /// From a URL.
    Page(Page),
    /// It came with the request.
    Inline(String),
}

/// A script to be fetched, and what is told on the way.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub link: Link,
    pub params: Params,
}

impl Page {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, params: Params::new() }
    }
}

/// Why a leg ends before its script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The script hung up.
    HungUp,
    /// The script did not take the call.
    Rejected {
        /// It pretended to be busy.
        busy: bool,
    },
    /// The person hung up.
    Left,
    /// The script could not be run.
    Broken,
}

/// What follows a verb.
pub(crate) enum Next {
    Verb,
    Script(Page),
}

/// Runs scripts on one leg.
pub(crate) struct Player<'a> {
    pub leg: &'a mut Leg,
    /// Who is on the line.
    pub person: &'a Script,
    /// A script before the connection: it cannot dial.
    pub screening: bool,
    /// How many seconds the whole call may last.
    pub limit_s: u32,
    /// Asked once when a script cannot be had.
    pub fallback: Option<Link>,
    here: Option<Link>,
    scripts: u32,
}

impl<'a> Player<'a> {
    pub(crate) fn new(leg: &'a mut Leg, person: &'a Script) -> Self {
        Self { leg, person, screening: false, limit_s: u32::MAX, fallback: None, here: None, scripts: 0 }
    }

    /// Runs a script and those it leads to, to the end of the last one.
    pub(crate) async fn play(&mut self, document: &Document) -> Result<(), End> {
        let mut verbs = match document {
            Document::Inline(text) => self.read(text)?,
            Document::Page(page) => self.load(page.clone()).await?,
        };
        loop {
            match self.perform(verbs).await? {
                Next::Verb => return Ok(()),
                Next::Script(page) => verbs = self.load(page).await?,
            }
        }
    }

    async fn perform(&mut self, verbs: Vec<Verb>) -> Result<Next, End> {
        for verb in verbs {
            if let Next::Script(page) = self.verb(&verb).await? {
                return Ok(Next::Script(page));
            }
        }
        Ok(Next::Verb)
    }

    async fn verb(&mut self, verb: &Verb) -> Result<Next, End> {
        let answers = match verb {
            Verb::Reject { .. } | Verb::Redirect(_) => false,
            Verb::Dial(dial) => !dial.answer_on_bridge,
            _ => true,
        };
        if answers {
            self.leg.answered();
        }
        if self.screening && matches!(verb, Verb::Dial(_) | Verb::Record(_) | Verb::Redirect(_) | Verb::Reject { .. }) {
            return Err(self.broken("a script before the connection may only say, play, gather, pause and hang up"));
        }
        match verb {
            Verb::Say | Verb::Play => self.listen().await,
            Verb::Pause(seconds) => {
                self.leg.seconds = self.leg.seconds.saturating_add(*seconds);
                Ok(Next::Verb)
            }
            Verb::Gather(gather) => self.gather(gather).await,
            // Boxed: the other side's phone may play a script of its own.
            Verb::Dial(dial) => Box::pin(self.dial(dial)).await,
            Verb::Record(record) => self.record(record).await,
            Verb::Hangup => Err(End::HungUp),
            Verb::Redirect(link) => Ok(Next::Script(Page::new(self.resolve(link)?))),
            Verb::Reject { busy } => Err(End::Rejected { busy: *busy }),
        }
    }

    async fn listen(&mut self) -> Result<Next, End> {
        tokio::time::sleep(self.leg.stage().pace().says()).await;
        self.leg.seconds = self.leg.seconds.saturating_add(SAID_SECONDS);
        if self.person.leaves_at(Moment::Whisper) { Err(End::Left) } else { Ok(Next::Verb) }
    }

    async fn gather(&mut self, gather: &Gather) -> Result<Next, End> {
        for prompt in &gather.prompts {
            let seconds = if let Verb::Pause(seconds) = prompt { *seconds } else { SAID_SECONDS };
            self.leg.seconds = self.leg.seconds.saturating_add(seconds);
        }
        let speed = self.leg.stage().pace();
        let keys = match &self.person.gather {
            Keypress::Press(keys) if !self.person.is_machine() => Some(gather.take(keys)),
            _ => None,
        };
        let waits = if keys.is_some() { speed.thinks() } else { speed.silence() };
        tokio::time::sleep(self.person.thinks_ms.map_or(waits, Duration::from_millis)).await;
        let leaves = self.person.gather == Keypress::HangUp && !self.person.is_machine();
        if leaves || self.person.leaves_at(Moment::Whisper) {
            return Err(End::Left);
        }
        let (digits, finished_on) = keys.unwrap_or_default();
        if digits.is_empty() {
            self.leg.seconds = self.leg.seconds.saturating_add(gather.timeout_s);
            if !gather.also_when_empty {
                return Ok(Next::Verb);
            }
        } else {
            self.leg.seconds = self.leg.seconds.saturating_add(1);
            self.leg.note(|call| call.pressed.push(digits.clone()));
        }
        let mut page = Page::new(self.action(gather.action.as_ref())?);
        page.params.push(pair("Digits", digits));
        page.params.push(pair("FinishedOnKey", finished_on.map(String::from).unwrap_or_default()));
        page.params.push(pair("msg", "Gather End"));
        Ok(Next::Script(page))
    }

    async fn record(&mut self, record: &Record) -> Result<Next, End> {
        let words = self.person.conversation.monologue();
        let spoken = if words.is_empty() { 0 } else { self.person.conversation.seconds.min(record.max_s) };
        let tape = Tape::start(self.leg, "RecordVerb", record.taping.clone(), words);
        tokio::time::sleep(self.person.conversation.lasts(self.leg.stage().pace().talks())).await;
        self.leg.seconds = self.leg.seconds.saturating_add(spoken);
        let told = tape.finish(spoken);
        if told.is_empty() {
            return Ok(Next::Verb);
        }
        let mut page = Page::new(self.action(record.action.as_ref())?);
        page.params.extend(told);
        page.params.push(pair("Digits", "#"));
        Ok(Next::Script(page))
    }

    /// Where to go on: the action, or by default the current script again.
    pub(crate) fn action(&self, action: Option<&Link>) -> Result<Link, End> {
        match (action, &self.here) {
            (Some(link), _) => self.resolve(link),
            (None, Some(here)) => Ok(here.clone()),
            (None, None) => Err(self.broken("there is no action, and a script that came with the call has no URL")),
        }
    }

    /// An absolute URL stays as it is, byte for byte: it is signed so.
    pub(crate) fn resolve(&self, link: &Link) -> Result<Link, End> {
        if link.url.starts_with("http://") || link.url.starts_with("https://") {
            return Ok(link.clone());
        }
        let here = self.here.as_ref().and_then(|here| Url::parse(&here.url).ok());
        let absolute = here.and_then(|here| here.join(&link.url).ok());
        let url = absolute.ok_or_else(|| self.broken(&format!("the URL {:?} leads nowhere", link.url)))?;
        Ok(Link { url: url.into(), get: link.get })
    }

    /// Fetches a script that is not run: the person has left, but is still told about.
    pub(crate) async fn fetch_unheard(&mut self, page: Page) {
        // What is wrong with it stands in the ledger.
        let _ = self.fetch(&page).await;
    }

    async fn load(&mut self, page: Page) -> Result<Vec<Verb>, End> {
        self.scripts += 1;
        if self.scripts > MOST_SCRIPTS {
            return Err(self.broken(&format!("more than {MOST_SCRIPTS} scripts in one call")));
        }
        let verbs = self.fetch(&page).await;
        let Some(fallback) = self.fallback.take_if(|_| verbs.is_err()) else {
            self.here = Some(page.link);
            return verbs;
        };
        let mut second = Page::new(fallback);
        second.params.push(pair("ErrorUrl", &page.link.url));
        second.params.push(pair("ErrorCode", "11200"));
        let verbs = self.fetch(&second).await;
        self.here = Some(second.link);
        verbs
    }

    async fn fetch(&mut self, page: &Page) -> Result<Vec<Verb>, End> {
        let mut params = self.leg.params();
        params.extend(page.params.iter().cloned());
        let stage = self.leg.stage().clone();
        let asked = stage.ask(&page.link, &params).await;
        let (ms, status) = asked.as_ref().map_or((0, 0), |answer| (answer.ms, answer.status));
        let verbs = self.judge(&page.link, asked);
        let names = verbs.as_ref().map(|(_, names)| names.clone()).unwrap_or_default();
        let fetch = TwimlFetch { url: page.link.url.clone(), ms, status, verbs: names };
        self.leg.note(|call| call.twiml_fetches.push(fetch));
        verbs.map(|(verbs, _)| verbs)
    }

    fn judge(&self, link: &Link, asked: Result<Answer, Silence>) -> Result<(Vec<Verb>, Vec<String>), End> {
        let url = &link.url;
        let answer = match asked {
            Ok(answer) => answer,
            Err(Silence::Cut) => return Err(self.broken(&format!("{url} gave no script within 15 s"))),
            Err(Silence::Unreachable(reason)) => {
                let text = format!("{}: {url}: {reason}", self.leg.sid);
                self.leg.stage().book().ledger_mut().unreachable.push(text);
                return Err(End::Broken);
            }
        };
        if answer.ms > SLOW_MS {
            self.complain(&format!("{url} took {} ms to give a script, more than {SLOW_MS}", answer.ms));
        }
        if !(200..300).contains(&answer.status) {
            return Err(self.broken(&format!("{url} answered {} instead of a script", answer.status)));
        }
        let kind = answer.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind != "text/xml" && kind != "application/xml" {
            return Err(self.broken(&format!("{url} answered {kind:?} instead of text/xml")));
        }
        let script = verbs::read(&answer.body).map_err(|reason| self.broken(&format!("{url}: {reason}")))?;
        for complaint in &script.complaints {
            self.complain(&format!("{url}: {complaint}"));
        }
        Ok((script.verbs, script.names))
    }

    fn read(&self, text: &str) -> Result<Vec<Verb>, End> {
        let script = verbs::read(text).map_err(|reason| self.broken(&format!("script of the call: {reason}")))?;
        for complaint in &script.complaints {
            self.complain(&format!("script of the call: {complaint}"));
        }
        Ok(script.verbs)
    }

    pub(crate) fn broken(&self, what: &str) -> End {
        self.complain(what);
        End::Broken
    }

    pub(crate) fn complain(&self, what: &str) {
        let leg = if self.leg.direction == Direction::OutboundDial { "leg" } else { "call" };
        self.leg.stage().violation(format!("{leg} {}: {what}", self.leg.sid));
    }
}
