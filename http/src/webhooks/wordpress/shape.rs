//! The shapes in which form plugins send an entry, flattened to one list of fields.

use serde_json::{Map, Value};

use super::words;
use crate::webhooks::fields::text_of;

mod gravity;

/// How many fields are read; the rest stays in the raw entry.
const MAX_FIELDS: usize = 500;
/// How long a field's name grows, in bytes, before what is below it stays one answer.
const MAX_LABEL: usize = 200;
/// Objects whose name says nothing: their members are fields of the form itself.
const WRAPPERS: &[&str] =
    &["fields", "formfields", "data", "payload", "body", "entry", "names", "name", "values", "form"];

/// What the plugin itself knows about a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Phone,
    Email,
    Message,
    FirstName,
    LastName,
}

/// One field with something in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    /// The name in the form's markup; may equal the label.
    pub id: String,
    /// The name people see.
    pub label: String,
    /// What the plugin says it is.
    pub kind: Option<Kind>,
    /// A text, or a list of texts; anything under a name longer than [`MAX_LABEL`].
    pub value: Value,
}

/// An entry, whatever plugin sent it.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub form: Option<String>,
    pub external_id: Option<String>,
    pub fields: Vec<Field>,
}

/// Is this key noise: a nonce, a captcha, a trap for robots?
pub(super) fn is_noise(key: &str) -> bool {
    const BEGINNINGS: &[&str] = &["_wp", "_nonce", "ak_", "gform_", "is_submit_", "_fluentform_"];
    const PARTS: &[&str] = &["honeypot", "recaptcha", "captcha-response", "turnstile-response", "fluent_checkme"];
    let key = key.to_ascii_lowercase();
    key == "hp"
        || BEGINNINGS.iter().any(|beginning| key.starts_with(beginning))
        || PARTS.iter().any(|part| key.contains(part))
}

/// Finds out which plugin sent the entry and lists its fields.
pub(super) fn read(entry: &Value) -> Shape {
    let Value::Object(root) = entry else {
        let mut shape = Shape::default();
        flatten("", entry, &mut shape.fields);
        return shape;
    };
    if let Some(fields) = root.get("fields").and_then(Value::as_object).filter(|fields| is_described(fields)) {
        return elementor(root, fields);
    }
    if let Some(submission) = root.get("__submission").and_then(Value::as_object) {
        return fluent(root, submission);
    }
    if gravity::is_entry(root) {
        return gravity::read(root);
    }
    plain(root)
}

/// Elementor's advanced data: each field says its type and title.
fn elementor(root: &Map<String, Value>, fields: &Map<String, Value>) -> Shape {
    let form = root.get("form").and_then(|form| first_text(form, &["id", "name"]));
    let read = fields.iter().filter_map(|(id, field)| {
        let text = |member: &str| field.get(member).and_then(text_of);
        let kind = match text("type").unwrap_or_default().as_str() {
            "tel" => Some(Kind::Phone),
            "email" => Some(Kind::Email),
            "textarea" => Some(Kind::Message),
            "honeypot" | "recaptcha" | "recaptcha_v3" | "html" | "step" => return None,
            _ => None,
        };
        let value = ["raw_value", "value"].iter().find_map(|member| filled(field.get(*member)?))?;
        Some(Field { id: id.clone(), label: text("title").unwrap_or_else(|| id.clone()), kind, value })
    });
    let mut read: Vec<Field> = read.take(MAX_FIELDS).collect();
    let beside = root.iter().filter(|(key, _)| !["form", "fields", "meta"].contains(&key.as_str()));
    beside.for_each(|(key, value)| flatten(key, value, &mut read));
    Shape { form, external_id: None, fields: read }
}

/// Fluent Forms: input names, and the submission beside them.
fn fluent(root: &Map<String, Value>, submission: &Map<String, Value>) -> Shape {
    let text = |member: &str| submission.get(member).and_then(text_of);
    let form = text("form_id");
    let id = text("id").map(|id| entry_id("fluent", text("source_url").as_deref(), form.as_deref(), &id));
    let mut fields = Vec::new();
    for (key, value) in root.iter().filter(|(key, _)| !key.starts_with("__")) {
        flatten(key, value, &mut fields);
    }
    Shape { form, external_id: id, fields }
}

/// Everything else: keys that a person chose.
fn plain(root: &Map<String, Value>) -> Shape {
    const FORM: &[&str] = &["form_id", "formId", "form_name", "form"];
    const TECHNICAL: &[&str] =
        &["form_id", "formid", "user agent", "user_agent", "remote ip", "remote_ip", "powered by"];
    let form = FORM.iter().find_map(|key| root.get(*key).and_then(text_of));
    let mut fields = Vec::new();
    for (key, value) in root {
        let is_technical = key.starts_with('_') || TECHNICAL.contains(&key.to_lowercase().as_str());
        let names_the_form = key == "form" && !value.is_object();
        if !is_technical && !names_the_form {
            flatten(key, value, &mut fields);
        }
    }
    Shape { form, external_id: None, fields }
}

/// An id that differs between plugins, sites and forms: two sites of one project both have an entry 12.
fn entry_id(plugin: &str, page: Option<&str>, form: Option<&str>, id: &str) -> String {
    let host = page.and_then(|page| url::Url::parse(page).ok()).and_then(|page| page.host_str().map(str::to_owned));
    format!("{plugin}:{}:{}:{id}", host.unwrap_or_default(), form.unwrap_or_default())
}

/// Are the members objects with a value of their own, as Elementor describes its fields?
fn is_described(fields: &Map<String, Value>) -> bool {
    !fields.is_empty() && fields.values().all(|field| field.get("value").or_else(|| field.get("raw_value")).is_some())
}

/// Adds a member as fields. Members of an object get its name before theirs, unless that name says nothing.
fn flatten(label: &str, value: &Value, fields: &mut Vec<Field>) {
    if fields.len() >= MAX_FIELDS || is_noise(label) {
        return;
    }
    match value {
        Value::Array(_) | Value::Object(_) if label.len() > MAX_LABEL => push(label, value.clone(), fields),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for item in items {
                flatten_item(label, item, fields);
            }
        }
        Value::Object(members) => match members.get("value").and_then(filled) {
            Some(inner) => push(label, inner, fields), // WPForms' dates: a value, and the same as seconds
            None => members.iter().for_each(|(key, member)| flatten(&below(label, key), member, fields)),
        },
        other => {
            if let Some(value) = filled(other) {
                push(label, value, fields);
            }
        }
    }
}

/// An item of a list: many services send `{label, value}` pairs.
fn flatten_item(label: &str, item: &Value, fields: &mut Vec<Field>) {
    let name = first_text(item, &["label", "title", "name", "question", "field", "key", "id"]);
    let value = ["value", "answer", "raw_value"].iter().find_map(|member| filled(item.get(*member)?));
    match (name, value, item) {
        (Some(name), Some(value), _) if !is_noise(&name) => push(&name, value, fields),
        (Some(_), None, Value::Object(members)) if members.contains_key("value") => {} // asked, not answered
        (_, _, Value::Object(_)) => flatten(label, item, fields),
        (_, _, scalar) => flatten(label, scalar, fields),
    }
}

fn push(label: &str, value: Value, fields: &mut Vec<Field>) {
    let label = label.strip_prefix("No Label ").unwrap_or(label); // Elementor's word for a field without one
    fields.push(Field { id: label.to_owned(), label: label.to_owned(), kind: None, value });
}

fn below(parent: &str, key: &str) -> String {
    let says_nothing = parent.is_empty() || WRAPPERS.contains(&words::words(parent).concat().as_str());
    if says_nothing { key.to_owned() } else { format!("{parent} {key}") }
}

/// The value without its empty parts: a trimmed text, or a list of at least two.
fn filled(value: &Value) -> Option<Value> {
    let Value::Array(items) = value else { return text_of(value).map(Value::String) };
    let mut texts: Vec<Value> = items.iter().filter_map(filled).collect();
    if texts.len() > 1 { Some(Value::Array(texts)) } else { texts.pop() }
}

fn first_text(object: &Value, members: &[&str]) -> Option<String> {
    members.iter().find_map(|member| object.get(*member).and_then(text_of))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(entry: &Value) -> Vec<(String, Value)> {
        read(entry).fields.into_iter().map(|field| (field.label, field.value)).collect()
    }

    #[test]
    fn nested_members_carry_their_parents_name() {
        let entry = json!({"address_1": {"city": "Whangārei", "zip": ""}, "names": {"first_name": "Mere"},
            "when": {"value": "2026-12-01", "unix": 1_795_089_600}, "data": {"Phone": "027"}});
        let expected =
            [("Phone", "027"), ("address_1 city", "Whangārei"), ("first_name", "Mere"), ("when", "2026-12-01")];
        let mut found = listed(&entry);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, expected.map(|(label, value)| (label.to_owned(), json!(value))));
    }

    #[test]
    fn lists_of_label_and_value_are_fields() {
        let entry = json!({"fields": [{"label": "Phone", "value": "027"}, {"label": "Notes", "value": ""},
            {"name": "Rooms", "value": ["a", "b"]}]});
        assert_eq!(listed(&entry), [("Phone".to_owned(), json!("027")), ("Rooms".to_owned(), json!(["a", "b"]))]);
    }

    #[test]
    fn noise_is_known_by_its_name() {
        for key in ["_wpnonce", "_wpcf7_unit_tag", "_nonce", "g-recaptcha-response", "my-honeypot", "ak_js", "hp"] {
            assert!(is_noise(key), "{key}");
        }
        for key in ["phone", "hp_model", "_url", "weekday"] {
            assert!(!is_noise(key), "{key}");
        }
    }

    #[test]
    fn what_lies_too_deep_stays_one_answer() {
        let long = "k".repeat(150);
        let entry = json!({ &long: { &long: { "phone": "027 555 9001" } } });
        assert_eq!(listed(&entry), [(format!("{long} {long}"), json!({"phone": "027 555 9001"}))]);
    }

    #[test]
    fn the_number_of_fields_is_bounded() {
        let many: Map<String, Value> = (0..2000).map(|n| (format!("k{n}"), json!("v"))).collect();
        assert_eq!(read(&Value::Object(many)).fields.len(), MAX_FIELDS);
    }
}
