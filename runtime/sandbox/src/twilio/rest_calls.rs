//! `Calls`: place, list, read, change.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use url::Url;

use crate::clock::{now, rfc2822};
use crate::ledger::{Call, CallStatus};
use crate::stage::Stage;
use crate::twilio::answer::{self, Refusal};
use crate::twilio::call_run::{self, Detection, Order, Plan};
use crate::twilio::form::{Form, is_e164};
use crate::twilio::paging;
use crate::twilio::player::{Document, Page};
use crate::twilio::request::{Hook, Link};
use crate::twilio::rest::Request;
use crate::twilio::tape::Taping;
use crate::twilio::verbs::{CALL_EVENTS, RECORDING_EVENTS};

/// A script that comes with the request may be this long, characters.
const LONGEST_SCRIPT: usize = 4000;
/// Twilio rings a little longer than it is asked to, seconds.
const EXTRA_RINGING: u64 = 5;
/// A price is known this long after the end, seconds.
const PRICE_AFTER: i64 = 2;
/// Micro-dollars for a started minute.
const MINUTE_MICROS: u64 = 14_000;

/// `POST Calls.json`.
pub(crate) async fn create(request: &Request<'_>) -> Response {
    let plan = match plan(request.stage, &request.form) {
        Ok(plan) => plan,
        Err(refusal) => return refusal.into_response(),
    };
    let fault = request.stage.faults().next_call(&plan.to);
    let place = || match call_run::place(request.stage, plan) {
        Some(call) => answer::created(render(request.stage, &call)),
        None => Refusal::not_found(request.path).into_response(),
    };
    request.under(fault, place).await
}

/// `GET Calls.json`.
pub(crate) fn list(request: &Request<'_>) -> Response {
    let query = &request.query;
    let book = request.stage.book();
    let started = Started::read(query);
    let (from, status) = (query.get("From"), query.get("Status"));
    let found = book.calls(query.get("To"), query.get("ParentCallSid"), paging::after(query)).filter(|call| {
        from.is_none_or(|from| call.from == from)
            && status.is_none_or(|status| call.status.as_str() == status)
            && started.fits(call)
    });
    let page = paging::page("calls", request.path, query, found, |call| &call.sid, |call| render(request.stage, call));
    answer::ok(page)
}

/// `GET Calls/{sid}.json`.
pub(crate) fn fetch(request: &Request<'_>, sid: &str) -> Response {
    match request.stage.book().call(sid) {
        Some(call) => answer::ok(render(request.stage, call)),
        None => Refusal::not_found(request.path).into_response(),
    }
}

/// `POST Calls/{sid}.json`.
pub(crate) fn update(request: &Request<'_>, sid: &str) -> Response {
    let Some(call) = request.stage.book().call(sid).cloned() else {
        return Refusal::not_found(request.path).into_response();
    };
    match order(&call, &request.form) {
        Ok(order) => {
            // A call that is over takes no order, and that is no error: it is what was wanted.
            request.stage.order(sid, order);
            answer::ok(render(request.stage, &call))
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn order(call: &Call, form: &Form) -> Result<Order, Refusal> {
    if call.parent_sid.is_some() && !call.status.is_final() {
        return Err(Refusal::bad(21220, "This sandbox takes orders for first legs only"));
    }
    match form.get("Status") {
        Some("canceled") => return Ok(Order::Cancel),
        Some("completed") => return Ok(Order::Complete),
        Some(other) => return Err(Refusal::bad(20001, format!("Status {other} is neither canceled nor completed"))),
        None => {}
    }
    if call.status != CallStatus::InProgress {
        return Err(Refusal::bad(21220, "Call is not in-progress. Cannot redirect."));
    }
    Ok(Order::Redirect(document(form)?))
}

fn plan(stage: &Stage, form: &Form) -> Result<Plan, Refusal> {
    let to = form.get("To").ok_or_else(|| Refusal::bad(21201, "No 'To' number is specified"))?;
    if !is_e164(to) {
        return Err(Refusal::bad(21211, format!("The 'To' number {to} is not a valid phone number.")));
    }
    let from = form.get("From").ok_or_else(|| Refusal::bad(21213, "No 'From' number is specified"))?;
    if !is_e164(from) {
        return Err(Refusal::bad(21212, format!("The 'From' number {from} is not a valid phone number.")));
    }
    let taping = form.get("Record").filter(|record| *record == "true").map(|_| {
        let hook = hook(stage, form, "RecordingStatusCallback", RECORDING_EVENTS);
        hook.map(|hook| Taping { dual: form.get("RecordingChannels") == Some("dual"), hook })
    });
    Ok(Plan {
        to: to.to_owned(),
        from: from.to_owned(),
        document: document(form)?,
        fallback: link(form, "FallbackUrl", "FallbackMethod", 21205)?,
        hook: hook(stage, form, "StatusCallback", CALL_EVENTS)?,
        patience: Duration::from_secs(u64::from(form.number("Timeout").unwrap_or(60).min(600)) + EXTRA_RINGING),
        limit_s: form.number("TimeLimit").unwrap_or(14_400),
        taping: taping.transpose()?,
        detection: detection(form)?,
    })
}

fn detection(form: &Form) -> Result<Option<Detection>, Refusal> {
    if !form.get("MachineDetection").is_some_and(|wanted| wanted == "Enable" || wanted == "DetectMessageEnd") {
        return Ok(None);
    }
    let is_async = form.get("AsyncAmd") == Some("true");
    let tell =
        if is_async { link(form, "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", 21609)? } else { None };
    Ok(Some(Detection { tell }))
}

fn document(form: &Form) -> Result<Document, Refusal> {
    if let Some(link) = link(form, "Url", "Method", 21205)? {
        return Ok(Document::Page(Page::new(link)));
    }
    let text = form.get("Twiml").ok_or_else(|| Refusal::bad(21205, "Url parameter is required."))?;
    if text.chars().count() > LONGEST_SCRIPT {
        return Err(Refusal::bad(21623, format!("Twiml is longer than {LONGEST_SCRIPT} characters")));
    }
    Ok(Document::Inline(text.to_owned()))
}

pub(super) fn link(form: &Form, name: &str, method: &str, code: u32) -> Result<Option<Link>, Refusal> {
    let Some(text) = form.get(name) else { return Ok(None) };
    let whole = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !whole {
        return Err(Refusal::bad(code, format!("{name} is not a valid URL: {text}")));
    }
    Ok(Some(Link::new(text, form.get(method))))
}

fn hook(stage: &Stage, form: &Form, name: &str, known: &[&str]) -> Result<Option<Hook>, Refusal> {
    let Some(link) = link(form, name, &format!("{name}Method"), 21609)? else { return Ok(None) };
    let events = form.words(&format!("{name}Event"));
    for unknown in events.iter().filter(|event| !known.contains(&event.as_str())) {
        stage.violation(format!("a call asks {name} for the event {unknown:?}, which does not exist"));
    }
    Ok(Some(Hook::new(link, events)))
}

/// `StartTime`, `StartTime>` and `StartTime<` take days or times; a call that has not started is in none of them.
struct Started {
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    on: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Started {
    fn read(query: &Form) -> Self {
        Self {
            from: query.get("StartTime>").and_then(moment),
            until: query.get("StartTime<").and_then(|text| moment(text).map(|at| end_of(text, at))),
            on: query.get("StartTime").and_then(|text| moment(text).map(|at| (at, end_of(text, at)))),
        }
    }

    fn fits(&self, call: &Call) -> bool {
        if self.from.is_none() && self.until.is_none() && self.on.is_none() {
            return true;
        }
        call.rung_at.is_some_and(|at| {
            self.from.is_none_or(|from| at >= from)
                && self.until.is_none_or(|until| at < until)
                && self.on.is_none_or(|(from, until)| at >= from && at < until)
        })
    }
}

fn moment(text: &str) -> Option<DateTime<Utc>> {
    let day = || Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    DateTime::parse_from_rfc3339(text).map(|at| at.with_timezone(&Utc)).ok().or_else(day)
}

/// Where a day ends, or the second of a time.
fn end_of(text: &str, at: DateTime<Utc>) -> DateTime<Utc> {
    at + if text.len() == "2026-11-01".len() { TimeDelta::days(1) } else { TimeDelta::seconds(1) }
}

fn render(stage: &Stage, call: &Call) -> Value {
    let account = &stage.options.account_sid;
    let base = format!("/2010-04-01/Accounts/{account}/Calls/{}", call.sid);
    let started = call.rung_at;
    let date = |at: Option<DateTime<Utc>>| at.map(rfc2822);
    let changed = call.ended_at.or(call.answered_at).or(started);
    json!({
        "sid": call.sid,
        "account_sid": account,
        "parent_call_sid": call.parent_sid,
        "phone_number_sid": Value::Null,
        "status": call.status.as_str(),
        "direction": call.direction.as_str(),
        "from": call.from,
        "from_formatted": call.from,
        "to": call.to,
        "to_formatted": call.to,
        "forwarded_from": Value::Null,
        "caller_name": Value::Null,
        "group_sid": Value::Null,
        "trunk_sid": Value::Null,
        "answered_by": call.answered_by,
        "annotation": Value::Null,
        "date_created": date(started.map(|_| call.created_at)),
        "date_updated": date(changed),
        "start_time": date(started),
        "end_time": date(call.ended_at),
        "duration": call.duration.map(|seconds| seconds.to_string()),
        "price": price(call),
        "price_unit": "USD",
        "queue_time": call.queue_ms.to_string(),
        "api_version": "2010-04-01",
        "uri": format!("{base}.json"),
        "subresource_uris": { "recordings": format!("{base}/Recordings.json") },
    })
}

/// Negative dollars as a text; known only some time after the end.
fn price(call: &Call) -> Option<String> {
    let known = call.ended_at? + TimeDelta::seconds(PRICE_AFTER) <= now();
    let micros = u64::from(call.duration?.div_ceil(60)) * MINUTE_MICROS;
    known.then(|| format!("-{}.{:05}", micros / 1_000_000, micros % 1_000_000 / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_bound_a_list() {
        assert_eq!(moment("2026-11-19").unwrap().to_rfc3339(), "2026-11-19T00:00:00+00:00");
        assert_eq!(moment("2026-11-19T12:00:00Z").unwrap().to_rfc3339(), "2026-11-19T12:00:00+00:00");
        assert!(moment("yesterday").is_none());
        let day = moment("2026-11-19").unwrap();
        assert_eq!(end_of("2026-11-19", day) - day, TimeDelta::days(1));
    }
}
