//! What a form said: one shape for every source of leads.

use std::fmt;

use serde_json::{Map, Value};

/// A lead as a form sent it, nothing checked yet. Texts are trimmed; what was empty is absent.
///
/// No text or key contains NUL, which no database takes. `Debug` tells what is there, not what it says.
#[derive(Clone, Default, PartialEq)]
pub struct FormFields {
    /// First and last name, joined with one space.
    pub name: Option<String>,
    /// The phone number as it was typed.
    pub phone: Option<String>,
    /// The e-mail address as it was typed.
    pub email: Option<String>,
    /// What the person wrote.
    pub message: Option<String>,
    /// Every other field, under its visible name.
    pub answers: Map<String, Value>,
    /// The sender's own id of this entry, if it has one.
    pub external_id: Option<String>,
    /// Which form it was, as the sender names it.
    pub form: Option<String>,
    /// Everything that came, without secrets and honeypots.
    pub raw: Value,
}

impl fmt::Debug for FormFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormFields")
            .field("name", &self.name.is_some())
            .field("phone", &self.phone.is_some())
            .field("email", &self.email.is_some())
            .field("message", &self.message.is_some())
            .field("answers", &self.answers.len())
            .field("external_id", &self.external_id)
            .field("form", &self.form)
            .finish_non_exhaustive()
    }
}

/// Keeps an answer under its visible name; a second answer of the same name gets a number.
pub(super) fn add_answer(answers: &mut Map<String, Value>, label: &str, value: Value) {
    let mut name = label.to_owned();
    let mut count = 1;
    while answers.contains_key(&name) {
        count += 1;
        name = format!("{label} ({count})");
    }
    answers.insert(name, value);
}

/// The trimmed text of a scalar; a number as text. Empty, null, list and object: none.
pub(super) fn text_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// The value without NUL in any text or key, and without the members whose key `unwanted` names, at any depth.
pub(super) fn scrubbed(value: Value, unwanted: &dyn Fn(&str) -> bool) -> Value {
    match value {
        Value::String(text) => Value::String(without_nul(text)),
        Value::Array(items) => items.into_iter().map(|item| scrubbed(item, unwanted)).collect(),
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(key, _)| !unwanted(key));
            Value::Object(kept.map(|(key, member)| (without_nul(key), scrubbed(member, unwanted))).collect())
        }
        scalar => scalar,
    }
}

fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_never_overwrites_another() {
        let mut answers = Map::new();
        for value in ["a", "b", "c"] {
            add_answer(&mut answers, "Service", json!(value));
        }
        assert_eq!(Value::Object(answers), json!({"Service": "a", "Service (2)": "b", "Service (3)": "c"}));
    }

    #[test]
    fn numbers_are_text_and_empty_is_absent() {
        assert_eq!(text_of(&json!(275_559_001)).as_deref(), Some("275559001"));
        assert_eq!(text_of(&json!(" Mere ")).as_deref(), Some("Mere"));
        for absent in [json!("  "), json!(null), json!([]), json!({})] {
            assert_eq!(text_of(&absent), None);
        }
    }

    #[test]
    fn nothing_the_database_refuses_survives() {
        let dirty = json!({"a\u{0}": ["x\u{0}y", {"secret": 1, "b": "\u{0}"}], "secret": "s"});
        assert_eq!(scrubbed(dirty, &|key| key == "secret"), json!({"a": ["xy", {"b": ""}]}));
    }

    #[test]
    fn debug_output_holds_no_personal_data() {
        let fields = FormFields { name: Some("Mere".into()), phone: Some("027".into()), ..FormFields::default() };
        let shown = format!("{fields:?}");
        assert!(!shown.contains("Mere") && !shown.contains("027"));
    }
}
