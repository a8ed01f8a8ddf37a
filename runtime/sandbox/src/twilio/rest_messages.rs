//! `Messages`: send, list, read.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::clock::{now, rfc2822};
use crate::faults::CallbackKind;
use crate::ledger::{Message, MessageStatus};
use crate::script::MessageFate;
use crate::stage::{Stage, new_sid};
use crate::twilio::answer::{self, Refusal};
use crate::twilio::callbacks::{Delivery, Lane};
use crate::twilio::form::{Form, is_e164, pair};
use crate::twilio::paging;
use crate::twilio::request::Link;
use crate::twilio::rest::Request;
use crate::twilio::rest_calls::link;

const LONGEST_BODY: usize = 1600;
/// Letters of GSM-7 beyond printable ASCII, which lacks the grave accent.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";
/// Letters that take two places in GSM-7.
const GSM_TWICE: &str = "^{}\\[~]|€\u{c}";

/// `POST Messages.json`.
pub(crate) async fn create(request: &Request<'_>) -> Response {
    let (stage, form) = (request.stage, &request.form);
    let (message, link) = match draft(stage, form) {
        Ok(draft) => draft,
        Err(refusal) => return refusal.into_response(),
    };
    let fault = stage.faults().next_message(&message.to);
    let send = || {
        let body = render(stage, &message);
        stage.book().add_message(message.clone());
        stage.spawn(travel(Arc::clone(stage), message, link));
        answer::created(body)
    };
    request.under(fault, send).await
}

/// `GET Messages.json`.
pub(crate) fn list(request: &Request<'_>) -> Response {
    let query = &request.query;
    let book = request.stage.book();
    let found = book.messages(query.get("To"), paging::after(query));
    let found =
        found.filter(|message| query.get("From").is_none_or(|from| message.from == from) && is_sent_on(message, query));
    let render = |message: &&Message| render(request.stage, message);
    answer::ok(paging::page("messages", request.path, query, found, |message| &message.sid, render))
}

/// `GET Messages/{sid}.json`.
pub(crate) fn fetch(request: &Request<'_>, sid: &str) -> Response {
    match request.stage.book().message(sid) {
        Some(message) => answer::ok(render(request.stage, message)),
        None => Refusal::not_found(request.path).into_response(),
    }
}

fn draft(stage: &Stage, form: &Form) -> Result<(Message, Option<Link>), Refusal> {
    let to = form.get("To").ok_or_else(|| Refusal::bad(21604, "A 'To' phone number is required."))?;
    if !is_e164(to) {
        return Err(Refusal::bad(21211, format!("The 'To' number {to} is not a valid phone number.")));
    }
    let from = form.get("From").or(form.get("MessagingServiceSid"));
    let from = from.ok_or_else(|| Refusal::bad(21603, "A 'From' phone number is required."))?;
    if !is_e164(from) && !from.starts_with("MG") {
        return Err(Refusal::bad(21212, format!("The 'From' number {from} is not a valid phone number.")));
    }
    let body = form.get("Body").ok_or_else(|| Refusal::bad(21602, "Message body is required."))?;
    if body.chars().count() > LONGEST_BODY {
        return Err(Refusal::bad(21617, "The concatenated message body exceeds the 1600 character limit."));
    }
    let link = link(form, "StatusCallback", "StatusCallbackMethod", 21609)?;
    match stage.script_of(to).messages {
        MessageFate::OptedOut => return Err(Refusal::bad(21610, "Attempt to send to unsubscribed recipient")),
        MessageFate::NotMobile => {
            return Err(Refusal::bad(21614, format!("'To' number {to} is not a valid mobile number")));
        }
        MessageFate::Delivered | MessageFate::Undelivered | MessageFate::Failed => {}
    }
    let message = Message {
        sid: new_sid("SM"),
        to: to.to_owned(),
        from: from.to_owned(),
        body: body.to_owned(),
        status: MessageStatus::Queued,
        error_code: None,
        status_callback: link.as_ref().map(|link| link.url.clone()),
        created_at: now(),
        sent_at: None,
    };
    Ok((message, link))
}

/// From the queue to the phone.
async fn travel(stage: Arc<Stage>, message: Message, link: Option<Link>) {
    let lane = link.map(|link| (Lane::open(&stage), link));
    let reach = |status: MessageStatus, error: Option<u32>| {
        if let Some(row) = stage.book().message_mut(&message.sid) {
            row.status = status;
            row.error_code = error;
            row.sent_at = row.sent_at.or((status == MessageStatus::Sent).then(now));
        }
        if let Some((lane, link)) = &lane {
            lane.post(delivery(&stage, &message, link.clone(), status, error));
        }
    };
    let fate = stage.script_of(&message.to).messages;
    tokio::time::sleep(stage.pace().text()).await;
    if fate == MessageFate::Failed {
        return reach(MessageStatus::Failed, Some(30008));
    }
    reach(MessageStatus::Sent, None);
    tokio::time::sleep(stage.pace().text()).await;
    if fate == MessageFate::Undelivered {
        reach(MessageStatus::Undelivered, Some(30003));
    } else {
        reach(MessageStatus::Delivered, None);
    }
}

fn delivery(stage: &Stage, message: &Message, link: Link, status: MessageStatus, error: Option<u32>) -> Delivery {
    let event = status.as_str();
    let mut params = vec![
        pair("MessageSid", &message.sid),
        pair("SmsSid", &message.sid),
        pair("MessageStatus", event),
        pair("SmsStatus", event),
        pair("AccountSid", &stage.options.account_sid),
        pair("From", &message.from),
        pair("To", &message.to),
        pair("ApiVersion", "2010-04-01"),
    ];
    params.extend(error.map(|code| pair("ErrorCode", code.to_string())));
    Delivery { kind: CallbackKind::Message, event, about: message.to.clone(), link, params }
}

/// `DateSent`, `DateSent>` and `DateSent<` take a UTC day; a message that waits was sent on none.
fn is_sent_on(message: &Message, query: &Form) -> bool {
    let day = |name: &str| query.get(name).and_then(|text| text.get(..10)?.parse::<NaiveDate>().ok());
    let (on, from, until) = (day("DateSent"), day("DateSent>"), day("DateSent<"));
    if on.is_none() && from.is_none() && until.is_none() {
        return true;
    }
    message.sent_at.map(|at| at.date_naive()).is_some_and(|sent| {
        on.is_none_or(|on| sent == on)
            && from.is_none_or(|from| sent >= from)
            && until.is_none_or(|until| sent <= until)
    })
}

fn render(stage: &Stage, message: &Message) -> Value {
    let account = &stage.options.account_sid;
    let changed = message.sent_at.unwrap_or(message.created_at);
    let uri = format!("/2010-04-01/Accounts/{account}/Messages/{}", message.sid);
    json!({
        "sid": message.sid,
        "account_sid": account,
        "messaging_service_sid": Value::Null,
        "status": message.status.as_str(),
        "direction": "outbound-api",
        "from": message.from,
        "to": message.to,
        "body": message.body,
        "num_segments": segments(&message.body).to_string(),
        "num_media": "0",
        "error_code": message.error_code,
        "error_message": message.error_code.map(|code| format!("Message was not delivered ({code})")),
        "price": Value::Null,
        "price_unit": "USD",
        "date_created": rfc2822(message.created_at),
        "date_updated": rfc2822(changed),
        "date_sent": message.sent_at.map(rfc2822),
        "api_version": "2010-04-01",
        "uri": format!("{uri}.json"),
        "subresource_uris": { "media": format!("{uri}/Media.json") },
    })
}

/// How many parts a text takes: GSM-7 where its letters allow, else UCS-2.
fn segments(body: &str) -> usize {
    let place = |letter: char| match letter {
        _ if GSM_TWICE.contains(letter) => Some(2),
        '`' => None,
        ' '..='~' => Some(1),
        _ => GSM.contains(letter).then_some(1),
    };
    let (places, alone, joined) = match body.chars().map(place).sum::<Option<usize>>() {
        Some(places) => (places, 160, 153),
        None => (body.encode_utf16().count(), 70, 67),
    };
    if places <= alone { 1 } else { places.div_ceil(joined) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_beyond_the_alphabet_shortens_every_part() {
        assert_eq!(segments(&"a".repeat(160)), 1);
        assert_eq!(segments(&"a".repeat(161)), 2);
        assert_eq!(segments(&"{".repeat(81)), 2);
        assert_eq!(segments(&format!("ā{}", "a".repeat(69))), 1);
        assert_eq!(segments(&format!("ā{}", "a".repeat(70))), 2);
        assert_eq!(segments(""), 1);
    }
}
