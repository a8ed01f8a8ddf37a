//! Google Ads lead forms: one JSON document per lead, proved by the key inside it.
//!
//! A 4xx makes Google drop the lead for good, so only a body that is no JSON object at all is unreadable.

use serde_json::{Map, Value};

use super::fields::{FormFields, add_answer, scrubbed, text_of};

mod columns;

use columns::Contact;

/// How the console's test button begins every `lead_id`.
const TEST_LEAD_PREFIX: &str = "TeSter-123-";

/// A lead as Google sent it. `Debug` shows neither the key nor personal data.
#[derive(Clone, PartialEq)]
pub struct GoogleLead {
    /// The proof of origin, to be compared in constant time with the project's key.
    pub google_key: Option<String>,
    /// Google's id of the lead: the same lead comes more than once.
    pub lead_id: Option<String>,
    /// The person and the answers.
    pub draft: FormFields,
    /// From the console's test button: stored, never dialled, never billed.
    pub is_test: bool,
    /// The whole document without the key.
    pub raw: Value,
}

impl std::fmt::Debug for GoogleLead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GoogleLead")
            .field("lead_id", &self.lead_id)
            .field("draft", &self.draft)
            .field("is_test", &self.is_test)
            .finish_non_exhaustive()
    }
}

/// Why a body is not a lead.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// No JSON.
    #[error("body is not json")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but not an object.
    #[error("body is not a json object")]
    NotAnObject,
}

/// Reads a lead. Missing parts are absent, unknown ones are kept; the caller caps the size.
///
/// # Errors
///
/// `NotJson` or `NotAnObject`: this can never have been a lead.
pub fn read(body: &[u8]) -> Result<GoogleLead, Unreadable> {
    let text = String::from_utf8_lossy(body);
    let parsed: Value = serde_json::from_str(text.trim_start_matches('\u{FEFF}')).map_err(Unreadable::NotJson)?;
    let google_key = parsed.get("google_key").and_then(text_of);
    let Value::Object(document) = scrubbed(parsed, &|key| key == "google_key") else {
        return Err(Unreadable::NotAnObject);
    };
    let lead_id = document.get("lead_id").and_then(text_of);
    let is_test = is_true(document.get("is_test"))
        || lead_id.as_deref().is_some_and(|lead_id| lead_id.starts_with(TEST_LEAD_PREFIX));
    let mut draft = draft(&document);
    draft.external_id.clone_from(&lead_id);
    draft.form = document.get("form_id").and_then(text_of);
    let raw = Value::Object(document);
    draft.raw = raw.clone();
    Ok(GoogleLead { google_key, lead_id, draft, is_test, raw })
}

fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(flag)) => *flag,
        Some(other) => text_of(other).is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true")),
        None => false,
    }
}

/// One column with something in it.
struct Column<'a> {
    contact: Option<Contact>,
    label: &'a str,
    value: Value,
}

fn draft(document: &Map<String, Value>) -> FormFields {
    let listed = document.get("user_column_data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut columns: Vec<Column<'_>> = listed.iter().filter_map(column).collect();
    let mut take = |wanted: Contact| take_text(&mut columns, wanted);
    let full = take(Contact::FullName);
    let parts: Vec<String> = match full {
        Some(full) => vec![full],
        None => [take(Contact::FirstName), take(Contact::LastName)].into_iter().flatten().collect(),
    };
    let phone = take(Contact::Phone).or_else(|| take(Contact::WorkPhone));
    let email = take(Contact::Email).or_else(|| take(Contact::WorkEmail));
    let mut answers = Map::new();
    for column in columns {
        add_answer(&mut answers, column.label, column.value);
    }
    let name = Some(parts.join(" ")).filter(|name| !name.is_empty());
    FormFields { name, phone, email, answers, ..FormFields::default() }
}

/// Takes the first column of this meaning out of the list; a second one stays an answer.
fn take_text(columns: &mut Vec<Column<'_>>, wanted: Contact) -> Option<String> {
    let found = columns.iter().position(|column| column.contact == Some(wanted) && text_of(&column.value).is_some())?;
    text_of(&columns.remove(found).value)
}

fn column(entry: &Value) -> Option<Column<'_>> {
    let text = |member: &str| entry.get(member).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let (id, name) = (text("column_id"), text("column_name"));
    let value = entry.get("string_value").or_else(|| entry.get("value"))?;
    let value = match value {
        Value::Array(items) if !items.is_empty() => value.clone(),
        Value::Object(members) if !members.is_empty() => value.clone(),
        scalar => Value::String(text_of(scalar)?),
    };
    let contact = match id {
        Some(id) => columns::by_id(id),
        None => name.and_then(columns::by_name),
    };
    Some(Column { contact, label: name.or(id).unwrap_or("Answer"), value })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SAMPLE: &str = r#"{"lead_id":"Cj0KEQiA-example-0001","api_version":"1.0","form_id":440011223344,
        "campaign_id":20998877665,"google_key":"kereru-key-please-change","is_test":false,"gcl_id":"EAIaIQobChMI-example",
        "adgroup_id":155001122334,"creative_id":9223372036854775807,"user_column_data":[
        {"column_name":"Full Name","string_value":"Mere Kūpapa","column_id":"FULL_NAME"},
        {"column_name":"User Phone","string_value":"+64275559001","column_id":"PHONE_NUMBER"},
        {"column_name":"What do you need?","string_value":"New bathroom","column_id":"what_do_you_need?"}]}"#;

    fn with_columns(columns: &Value) -> FormFields {
        read(json!({"lead_id": "L1", "user_column_data": columns}).to_string().as_bytes()).unwrap().draft
    }

    #[test]
    fn a_lead_is_read_with_its_answers() {
        let lead = read(SAMPLE.as_bytes()).unwrap();
        assert_eq!(lead.google_key.as_deref(), Some("kereru-key-please-change"));
        assert_eq!(lead.lead_id.as_deref(), Some("Cj0KEQiA-example-0001"));
        assert_eq!(lead.draft.external_id, lead.lead_id);
        assert_eq!(lead.draft.form.as_deref(), Some("440011223344"));
        assert_eq!(lead.draft.name.as_deref(), Some("Mere Kūpapa"));
        assert_eq!(lead.draft.phone.as_deref(), Some("+64275559001"));
        assert_eq!((lead.draft.email, lead.draft.message, lead.is_test), (None, None, false));
        assert_eq!(Value::Object(lead.draft.answers), json!({"What do you need?": "New bathroom"}));
    }

    #[test]
    fn the_raw_document_keeps_ids_exact_and_loses_the_key() {
        let lead = read(SAMPLE.as_bytes()).unwrap();
        assert_eq!(lead.raw["creative_id"].as_i64(), Some(i64::MAX));
        assert!(lead.raw.get("google_key").is_none());
        assert!(!lead.raw.to_string().contains("kereru-key"));
        assert_eq!(lead.draft.raw, lead.raw);
        assert!(!format!("{lead:?}").contains("kereru-key") && !format!("{lead:?}").contains("Mere"));
    }

    #[test]
    fn numbers_as_text_and_text_as_numbers_are_the_same() {
        let body = br#"{"lead_id":9223372036854775807,"form_id":"440011223344","is_test":"true","google_key":12345,
            "user_column_data":[{"column_id":"PHONE_NUMBER","string_value":64275559001}]}"#;
        let lead = read(body).unwrap();
        assert_eq!(lead.lead_id.as_deref(), Some("9223372036854775807"));
        assert_eq!(lead.google_key.as_deref(), Some("12345"));
        assert_eq!(lead.draft.form.as_deref(), Some("440011223344"));
        assert_eq!(lead.draft.phone.as_deref(), Some("64275559001"));
        assert!(lead.is_test);
    }

    #[test]
    fn the_test_button_is_recognised_with_or_without_its_flag() {
        let flagged = read(br#"{"lead_id":"x","is_test":true}"#).unwrap();
        let unflagged = read(br#"{"lead_id":"TeSter-123-ABCDEFGHIJKLMNOPQRSTUVWXYZ"}"#).unwrap();
        assert!(flagged.is_test && unflagged.is_test);
    }

    #[test]
    fn first_and_last_name_are_joined_and_the_full_name_wins() {
        let first = json!({"column_id": "FIRST_NAME", "string_value": "Mere"});
        let last = json!({"column_id": "LAST_NAME", "string_value": "Kūpapa"});
        let joined = with_columns(&json!([last, first]));
        assert_eq!(joined.name.as_deref(), Some("Mere Kūpapa"));
        let full = with_columns(&json!([first, {"column_id": "FULL_NAME", "string_value": "M. Kūpapa"}]));
        assert_eq!(full.name.as_deref(), Some("M. Kūpapa"));
        assert_eq!(Value::Object(full.answers), json!({"FIRST_NAME": "Mere"}));
    }

    #[test]
    fn work_contacts_fill_in_and_are_answers_otherwise() {
        let work = json!([{"column_id": "WORK_PHONE", "string_value": "09 888 9002", "column_name": "Work Phone"},
                          {"column_id": "WORK_EMAIL", "string_value": "m@work.example"}]);
        let filled = with_columns(&work);
        assert_eq!(filled.phone.as_deref(), Some("09 888 9002"));
        assert_eq!(filled.email.as_deref(), Some("m@work.example"));
        let both = with_columns(&json!([work[0], {"column_id": "PHONE_NUMBER", "string_value": "+64275559001"}]));
        assert_eq!(both.phone.as_deref(), Some("+64275559001"));
        assert_eq!(both.answers["Work Phone"], "09 888 9002");
    }

    #[test]
    fn an_old_capture_is_matched_by_its_column_names() {
        let old = with_columns(&json!([{"column_name": "Full Name", "string_value": "Mere"},
            {"column_name": "User Phone", "string_value": "027 555 9001"},
            {"column_name": "User Email", "string_value": "m@example.org"}]));
        assert_eq!(old.name.as_deref(), Some("Mere"));
        assert_eq!((old.phone.as_deref(), old.email.as_deref()), (Some("027 555 9001"), Some("m@example.org")));
        assert!(old.answers.is_empty());
    }

    #[test]
    fn the_column_id_decides_where_it_contradicts_the_name() {
        let custom = with_columns(&json!([{"column_id": "q_77", "column_name": "User Phone", "string_value": "no"}]));
        assert_eq!(custom.phone, None);
        assert_eq!(custom.answers["User Phone"], "no");
    }

    #[test]
    fn missing_and_misshapen_parts_lose_nothing_else() {
        assert_eq!(read(b"{}").unwrap().lead_id, None);
        let odd = with_columns(&json!([null, 7, {"column_id": "CITY"}, {"string_value": "orphan"},
            {"column_id": "PHONE_NUMBER", "string_value": "  "}, {"column_id": "PRODUCT", "string_value": ["a", "b"]}]));
        assert_eq!(odd.phone, None);
        assert_eq!(Value::Object(odd.answers), json!({"Answer": "orphan", "PRODUCT": ["a", "b"]}));
        assert!(with_columns(&json!({"not": "a list"})).answers.is_empty());
    }

    #[test]
    fn only_what_is_no_object_is_unreadable() {
        assert!(matches!(read(b"lead_id=1"), Err(Unreadable::NotJson(_))));
        assert!(matches!(read(b""), Err(Unreadable::NotJson(_))));
        assert!(matches!(read(b"[1]"), Err(Unreadable::NotAnObject)));
        assert!(read("\u{FEFF}{}".as_bytes()).is_ok());
    }
}
