//! What the demo prints.

use std::time::Duration;

use serde_json::Value;

use super::guest::StreamEvent;

pub(super) fn opening() {
    println!(
        "Apex demo: the sandbox plays the telephone company, the people and the language model. Nobody is rung.\n"
    );
}

pub(super) fn form(phone: &str) {
    println!(
        "        A customer fills the form of Kereru Plumbing: Mere Kūpapa, {phone}, \"A pipe burst in the bathroom\""
    );
}

pub(super) fn accepted(after: Duration, context: &str) {
    println!("{}  accepted            the lead is committed and answered; context {context}", seconds(after));
}

/// One line for a stage; steps and notes are not for people.
pub(super) fn stage(after: Duration, event: &StreamEvent) {
    let Some(stage) = event.data["stage"].as_str() else { return };
    println!("{}  {stage:<18}  {}", seconds(after), meaning(stage, &event.data["data"]));
}

fn meaning(stage: &str, data: &Value) -> String {
    match stage {
        "dial_requested" => "the telephone company has the call to the boss".into(),
        "boss_ringing" => "the boss's phone rings".into(),
        "boss_answered" => "the boss hears who is waiting".into(),
        "boss_accepted" => "the boss pressed 1".into(),
        "customer_ringing" => "the customer's phone rings".into(),
        "customer_connected" => "they speak; the call is recorded".into(),
        "call_ended" => format!("{}; {} s of conversation", text(&data["outcome"]), data["customer_seconds"]),
        "recorded" => format!("the recording is stored, {} s", data["seconds"]),
        "transcribed" => format!("by {}", text(&data["engine"])),
        "analysed" => format!("by {}; urgency {}", text(&data["engine"]), text(&data["urgency"])),
        _ => data.to_string(),
    }
}

pub(super) fn crm_entry(lead: &Value, ticket: &Value) {
    println!("\nThe CRM entry");
    for key in ["name", "phone", "email", "message", "source", "status", "call_sid", "call_duration", "recording_url"] {
        println!("  {key:<16} {}", text(&lead[key]));
    }
    println!("  {:<16} {}", "cost", text(&ticket["data"]["result"]["cost"]));
    println!("\nTranscript");
    for line in lead["call_transcription"].as_str().unwrap_or_default().lines() {
        println!("  {line}");
    }
    println!("\nAnalysis");
    let analysis = serde_json::to_string_pretty(&lead["call_analysis"]).unwrap_or_default();
    for line in analysis.lines() {
        println!("  {line}");
    }
    println!();
}

pub(super) fn how_to_go_on(api: &str, admin: &str, email: &str, password: &str, project: &str) {
    println!("It keeps running. Stop it with Ctrl-C.");
    println!("  API and docs   {api}/docs");
    println!("  Metrics        {admin}/metrics");
    println!("  Log in         POST {api}/api/v1/auth/login {{\"email\":\"{email}\",\"password\":\"{password}\"}}");
    println!("  Live actors    GET  {api}/api/v1/projects/{project}/actors");
    println!("  Leads          GET  {api}/api/v1/leads?project_id={project}");
}

fn seconds(after: Duration) -> String {
    format!("{:>3}.{:03} s", after.as_secs(), after.subsec_millis())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}
