//! A customer calls our number: they become a lead, and are put through to the boss.

use apex_actors::callback::CallbackRef;
use apex_config::dna::{self, Dna};
use apex_storage::model::call::Report;
use apex_storage::model::phone::{self, Phone};
use apex_storage::model::{EffectId, LeadSource, TicketId};
use apex_storage::{Intake, LeadIntake, Route, StorageError};
use axum::extract::State;
use serde_json::{Map, Value, json};

use super::callback::Callback;
use super::contract::{Form, Spoken};
use super::line::{Fact, Line, Nudge, spoken, unknown};
use super::phrases::Phrase;
use super::twiml::{self, ForwardScript, TwiMl};
use crate::metrics::providers as metrics;
use crate::state::AppState;

const KIND: &str = "incoming";
/// How long the boss's phone rings when the project does not say, seconds.
const RING_TIMEOUT_S: u32 = 25;
/// How long a conversation may last, seconds.
const TIME_LIMIT_S: u32 = 3600;
/// What the boss is told by text when somebody rang: also when the call is missed, the number is not lost.
const TASK: (&str, &str) = ("notify_sms", "task");
/// Parameters that open something at the provider: not kept with the lead.
const SECRETS: [&str; 2] = ["CallToken", "StirPassportToken"];

/// Puts a caller through to the boss of the project whose number was called.
#[utoipa::path(
    post, path = "/voice/incoming", operation_id = "voice_incoming", tag = "Providers", security(()),
    params(("project_id" = Option<String>, Query, description = "Whose number it is; without it the called number decides")),
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Spoken)
)]
pub(super) async fn voice_incoming(State(state): State<AppState>, callback: Callback) -> TwiMl {
    spoken(&state, KIND, Box::pin(incoming(Line::of(&state), state.intake(), &callback))).await
}

async fn incoming(
    line: Line<'_>,
    intake: &Intake,
    callback: &Callback,
) -> Result<(TwiMl, Option<Nudge>), StorageError> {
    let (Some(route), Some(sid)) = (route(line, callback).await?, callback.param("CallSid")) else {
        return Ok((twiml::apology(""), unknown(KIND)));
    };
    let Some(dna) = dna_of(line, &route).await? else { return Ok((twiml::apology(""), unknown(KIND))) };
    let boss = dna.sales_bridge().destination_phone.as_deref();
    let boss = boss.and_then(|raw| phone::normalise(raw, &dna.identity.region).ok()).map(|found| found.phone);
    let caller = callback.param("From").and_then(phone::identify);
    if boss.is_some() && caller == boss {
        return Ok((Phrase::OwnNumber.and_hang_up(&dna.identity.language), None));
    }
    let ticket = accept(line, intake, lead(&route, sid, caller.as_ref(), callback)).await;
    let about = CallbackRef {
        org: route.org_id,
        project: route.project_id,
        ticket,
        bridge: None,
        effect: EffectId(ticket.0), // nothing of ours left the house: the ticket stands for the call
    };
    let tx = line.store.tenant(route.org_id).await?;
    let news = line.keep(tx, &about, callback, Fact { kind: KIND, sid, report: Report::Other }).await?;
    Ok((put_through(line, &about, &dna, boss.as_ref()), news))
}

/// Whose number it is: the address says so, or the number does.
async fn route(line: Line<'_>, callback: &Callback) -> Result<Option<Route>, StorageError> {
    match (callback.query("project_id"), callback.param("To")) {
        (Some(slug), _) => line.store.route("slug", slug).await,
        (None, Some(number)) => line.store.route("number", number).await,
        (None, None) => Ok(None),
    }
}

async fn dna_of(line: Line<'_>, route: &Route) -> Result<Option<Dna>, StorageError> {
    let project = line.store.tenant_read(route.org_id).await?.project(route.project_id).await?;
    let Some(project) = project else { return Ok(None) };
    let resolved = dna::resolve(&project.dna_generated, &project.dna_custom);
    if resolved.is_err() {
        tracing::error!(project.id = %project.id, "stored project DNA cannot be used: a caller was turned away");
    }
    Ok(resolved.ok())
}

fn lead(route: &Route, sid: &str, caller: Option<&Phone>, callback: &Callback) -> LeadIntake {
    let kept = callback.params().iter().filter(|(name, _)| !SECRETS.contains(&name.as_str()));
    let raw: Map<String, Value> = kept.map(|(name, value)| (name.clone(), json!(value))).collect();
    LeadIntake {
        org: route.org_id,
        project: route.project_id,
        source: LeadSource::InboundCall,
        external_id: sid.to_owned(),
        name: caller.map_or_else(|| "Unknown caller".to_owned(), ToString::to_string),
        phone_raw: caller.map(ToString::to_string),
        email: None,
        message: None,
        answers: json!({}),
        raw: Value::Object(raw),
        is_test: false,
        task: TASK.0,
        actor: TASK.1,
    }
}

/// The ticket of the caller's lead. A caller is put through also when the lead cannot be stored.
async fn accept(line: Line<'_>, intake: &Intake, lead: LeadIntake) -> TicketId {
    let (clock, project) = (line.store.clock(), lead.project);
    let begun = clock.monotonic();
    match intake.accept(lead).await {
        Ok(accepted) => {
            if accepted.is_new {
                metrics::lead_accepted(LeadSource::InboundCall, clock.monotonic() - begun);
            }
            accepted.ticket
        }
        Err(error) => {
            tracing::error!(
                project.id = %project,
                error = &error as &dyn std::error::Error,
                "a caller is put through but is no lead: it could not be stored"
            );
            TicketId::new()
        }
    }
}

fn put_through(line: Line<'_>, about: &CallbackRef, dna: &Dna, boss: Option<&Phone>) -> TwiMl {
    let (wanted, bridge) = (dna.identity.language.as_str(), dna.sales_bridge());
    let Some(boss) = boss else { return Phrase::NobodyFree.and_hang_up(wanted) };
    let url = |kind: &str| about.url(line.public_url, kind);
    let (notice, language) = Phrase::Recorded.said_in(wanted);
    twiml::forward_to_boss(&ForwardScript {
        greeting: bridge.record.then_some(notice),
        language,
        bosses: &[boss.as_str()],
        caller_id: None,
        screen_url: None,
        ring_timeout_s: bridge.ring_seconds.unwrap_or(RING_TIMEOUT_S),
        time_limit_s: TIME_LIMIT_S,
        record: bridge.record,
        recording_callback: &url("voice/recording-status"),
        after_action: &url("voice/after"),
        leg_callback: &url("voice/leg"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::office::Office;
    use super::*;

    async fn call(office: &Office, path: &str, body: &str) -> (TwiMl, Option<Nudge>) {
        let callback = Callback::read(&path.parse().unwrap(), body.as_bytes());
        incoming(office.line(), &office.intake, &callback).await.unwrap()
    }

    const HERE: &str = "/api/voice/incoming?project_id=kereru";

    #[tokio::test]
    async fn a_caller_is_a_lead_and_is_put_through_with_notice() {
        let office = Office::open().await;
        let body = "CallSid=CA5&From=%2B64275559002&To=%2B6498889002&CallToken=secret";
        let (script, news) = call(&office, HERE, body).await;
        assert!(
            script.0.contains("This call is recorded.") && script.0.contains(">+64275550001</Number>"),
            "{}",
            script.0
        );
        let (again, same) = call(&office, HERE, body).await;
        assert_eq!((&again, &same), (&script, &news), "a repeated request is the same call");
        let leads = office.leads(LeadSource::InboundCall).await;
        assert_eq!(leads.len(), 1);
        assert_eq!((leads[0].name.as_str(), leads[0].phone_raw.as_deref()), ("+64275559002", Some("+64275559002")));
        assert!(!leads[0].raw_payload.to_string().contains("secret"));
        assert!(news.is_some_and(|news| news.actor == "task"), "the boss gets a text, and is not rung a second time");
    }

    #[tokio::test]
    async fn a_withheld_number_is_a_lead_without_one() {
        let office = Office::open().await;
        let (script, _) = call(&office, HERE, "CallSid=CA5&From=Restricted&To=%2B6498889002").await;
        assert!(script.0.contains("<Dial"));
        let leads = office.leads(LeadSource::InboundCall).await;
        assert_eq!((leads[0].name.as_str(), leads[0].phone_raw.as_deref()), ("Unknown caller", None));
    }

    #[tokio::test]
    async fn the_boss_calling_back_is_not_put_through_to_the_boss() {
        let office = Office::open().await;
        let (script, news) = call(&office, HERE, "CallSid=CA5&From=%2B64275550001&To=%2B6498889002").await;
        assert_eq!((script, news), (Phrase::OwnNumber.and_hang_up("en-NZ"), None));
        assert!(office.leads(LeadSource::InboundCall).await.is_empty());
    }

    #[tokio::test]
    async fn a_number_of_nobody_gets_an_apology() {
        let office = Office::open().await;
        for path in ["/api/voice/incoming?project_id=moa", "/api/voice/incoming"] {
            let (script, news) = call(&office, path, "CallSid=CA5&From=%2B64275559002&To=%2B6491111111").await;
            assert_eq!((script, news), (twiml::apology(""), None), "{path}");
        }
    }
}
