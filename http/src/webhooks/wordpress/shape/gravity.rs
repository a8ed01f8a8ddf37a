//! Gravity Forms: an entry whose inputs are numbers, `1.3` the first name of field 1 and `1.6` the last.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Field, Kind, Shape, entry_id, flatten};
use crate::webhooks::fields::text_of;

/// What an entry says about itself, not about the person.
const ABOUT_THE_ENTRY: &[&str] = &[
    "id",
    "form_id",
    "post_id",
    "date_created",
    "date_updated",
    "is_starred",
    "is_read",
    "ip",
    "source_url",
    "user_agent",
    "currency",
    "created_by",
    "status",
    "payment_status",
    "payment_date",
    "payment_amount",
    "payment_method",
    "transaction_id",
    "transaction_type",
    "is_fulfilled",
    "source_id",
];
/// The inputs a name field can have: prefix, first, middle, last, suffix.
const NAME_INPUTS: &[&str] = &["2", "3", "4", "6", "8"];

/// Is this an entry rather than keys somebody chose?
pub(super) fn is_entry(root: &Map<String, Value>) -> bool {
    ["id", "form_id", "date_created"].iter().all(|key| root.contains_key(*key))
}

/// Lists the fields of an entry.
pub(super) fn read(root: &Map<String, Value>) -> Shape {
    let text = |member: &str| root.get(member).and_then(text_of);
    let form = text("form_id");
    let id = text("id").map(|id| entry_id("gravity", text("source_url").as_deref(), form.as_deref(), &id));
    let name_field = name_field(root);
    let mut fields = Vec::new();
    for (key, value) in root.iter().filter(|(key, _)| !ABOUT_THE_ENTRY.contains(&key.as_str())) {
        let before = fields.len();
        flatten(key, value, &mut fields);
        let part = key.split_once('.').filter(|(field, _)| Some(*field) == name_field).map(|(_, input)| input);
        for field in &mut fields[before..] {
            field.kind = name_part(part);
        }
    }
    merge_choices(&mut fields);
    mark_message(&mut fields);
    Shape { form, external_id: id, fields }
}

fn name_part(input: Option<&str>) -> Option<Kind> {
    match input? {
        "3" => Some(Kind::FirstName),
        "6" => Some(Kind::LastName),
        _ => None,
    }
}

/// The first field with a first and a last name and no input that a name cannot have. An address or a list of
/// choices has an input 1.
fn name_field(root: &Map<String, Value>) -> Option<&str> {
    let mut inputs: BTreeMap<u32, (&str, Vec<&str>)> = BTreeMap::new();
    for (field, input) in root.keys().filter_map(|key| key.split_once('.')) {
        if let Ok(number) = field.parse() {
            inputs.entry(number).or_insert((field, Vec::new())).1.push(input);
        }
    }
    let is_name = |found: &[&str]| {
        found.contains(&"3") && found.contains(&"6") && found.iter().all(|input| NAME_INPUTS.contains(input))
    };
    inputs.into_values().find(|(_, found)| is_name(found)).map(|(field, _)| field)
}

/// The inputs of one field become one answer under the field's number: ticked choices, an address' lines.
fn merge_choices(fields: &mut Vec<Field>) {
    let mut merged: Vec<Field> = Vec::with_capacity(fields.len());
    for mut field in fields.drain(..) {
        let parent =
            field.id.split_once('.').filter(|(number, _)| field.kind.is_none() && number.parse::<u32>().is_ok());
        let Some(parent) = parent.map(|(number, _)| number.to_owned()) else {
            merged.push(field);
            continue;
        };
        if let Some(known) = merged.iter_mut().find(|known| known.id == parent) {
            add_value(&mut known.value, field.value);
        } else {
            field.label.clone_from(&parent);
            field.id = parent;
            merged.push(field);
        }
    }
    *fields = merged;
}

/// Numbers say nothing: the one field with a sentence in it is what the person wants. Two of them are answers.
fn mark_message(fields: &mut [Field]) {
    let is_sentence = |field: &Field| {
        let text = field.value.as_str().unwrap_or_default();
        field.kind.is_none()
            && field.id.parse::<u32>().is_ok()
            && text.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).count() > 2
    };
    let mut sentences = fields.iter_mut().filter(|field| is_sentence(field));
    if let (Some(only), None) = (sentences.next(), sentences.next()) {
        only.kind = Some(Kind::Message);
    }
}

fn add_value(values: &mut Value, value: Value) {
    match values {
        Value::Array(values) => values.push(value),
        single => *single = Value::Array(vec![single.take(), value]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(inputs: &Value) -> Map<String, Value> {
        let mut root = json!({"id": "12", "form_id": 3, "date_created": "2026-11-19 12:00:00"});
        let members = inputs.as_object().unwrap().clone();
        root.as_object_mut().unwrap().extend(members);
        root.as_object().unwrap().clone()
    }

    #[test]
    fn an_address_or_choices_are_not_a_name() {
        let address = entry(&json!({"4.1": "1 Bank St", "4.3": "Whangārei", "4.6": "NZ"}));
        assert_eq!(name_field(&address), None);
        let both = entry(&json!({"4.1": "1 Bank St", "4.3": "x", "4.6": "NZ", "7.3": "Mere", "7.6": "K", "7.2": ""}));
        assert_eq!(name_field(&both), Some("7"));
        let merged = read(&address).fields;
        assert_eq!(merged.len(), 1);
        assert_eq!((merged[0].label.as_str(), &merged[0].value), ("4", &json!(["1 Bank St", "Whangārei", "NZ"])));
    }

    #[test]
    fn the_only_sentence_is_the_message() {
        let kinds = |inputs: &Value| {
            let fields = read(&entry(inputs)).fields;
            fields
                .into_iter()
                .filter(|field| field.kind == Some(Kind::Message))
                .map(|field| field.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            kinds(&json!({"2": "027 555 9001", "3": "m@kereru.example", "4": "A burst pipe, please call"})),
            ["4"]
        );
        assert!(kinds(&json!({"4": "A burst pipe", "5": "In the kitchen"})).is_empty(), "which of them cannot be told");
        assert!(kinds(&json!({"4": "Mere Kūpapa", "5": "027 555 9001"})).is_empty(), "a name is no sentence");
    }

    #[test]
    fn the_entry_id_differs_between_sites_and_forms() {
        let here = read(&entry(&json!({"source_url": "https://kereru.example/quote/"})));
        let there = read(&entry(&json!({"source_url": "https://tui.example/quote/"})));
        assert_eq!(here.external_id.as_deref(), Some("gravity:kereru.example:3:12"));
        assert_ne!(here.external_id, there.external_id);
        assert_eq!(here.form.as_deref(), Some("3"));
    }
}
