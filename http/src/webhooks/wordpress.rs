//! Forms of `WordPress` sites: every plugin posts another shape, and none of them repeats.
//!
//! Reading therefore never fails: what cannot be understood is kept as it came.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fields::{FormFields, scrubbed};

mod brackets;
mod contact;
mod shape;
mod words;

/// How many parts of a multipart body are read.
const MAX_PARTS: usize = 1000;

/// Reads an entry of any content type, multipart included; the caller caps the size.
pub async fn read_any(content_type: Option<&str>, body: Bytes) -> FormFields {
    match content_type.filter(|kind| media_type(kind) == "multipart/form-data") {
        Some(kind) => match multipart_pairs(kind, body.clone()).await {
            pairs if pairs.is_empty() => as_text(content_type, &body),
            pairs => understood(Value::Object(brackets::tree(pairs))),
        },
        None => read(content_type, &body),
    }
}

/// Reads an entry sent as JSON or as a form. Anything else, multipart too, is kept as text.
pub fn read(content_type: Option<&str>, body: &[u8]) -> FormFields {
    let kind = content_type.map(media_type).unwrap_or_default();
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{FEFF}').trim();
    let looks_like_json = kind.ends_with("json") || text.starts_with(['{', '[']);
    if let Some(entry) = looks_like_json.then(|| serde_json::from_str(text).ok()).flatten() {
        return understood(entry);
    }
    let is_form = kind == "application/x-www-form-urlencoded" || (kind.is_empty() && text.contains('='));
    if is_form && !text.is_empty() {
        return understood(Value::Object(brackets::tree(url::form_urlencoded::parse(text.as_bytes()).into_owned())));
    }
    as_text(content_type, body)
}

/// Names an entry that came without an id: the same form, person and message within one bucket is the same entry.
///
/// `minute_bucket` is the caller's count of ten-minute spans. An entry with neither phone, e-mail nor message is named
/// by everything in it, so that two strangers never become one.
pub fn fallback_external_id(form: Option<&str>, fields: &FormFields, minute_bucket: i64) -> String {
    let digits = |phone: &String| phone.chars().filter(|c| c.is_alphanumeric() || *c == '+').collect::<String>();
    let phone = fields.phone.as_ref().map(digits).unwrap_or_default();
    let email = fields.email.as_ref().map(|email| email.to_lowercase()).unwrap_or_default();
    let message = fields.message.as_deref().unwrap_or_default();
    let is_anonymous = phone.is_empty() && email.is_empty() && message.is_empty();
    let rest = if is_anonymous { fields.raw.to_string() } else { String::new() };
    let mut hasher = Sha256::new();
    for part in [form.unwrap_or_default(), &phone, &email, message, &rest, &minute_bucket.to_string()] {
        hasher.update(part.len().to_be_bytes()); // or `ab` + `c` would equal `a` + `bc`
        hasher.update(part);
    }
    format!("hash:{}", hex::encode(hasher.finalize()))
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn understood(entry: Value) -> FormFields {
    let entry = scrubbed(entry, &shape::is_noise);
    let shape = shape::read(&entry);
    let fields = contact::sort(shape.fields);
    FormFields { form: shape.form, external_id: shape.external_id, raw: entry, ..fields }
}

/// Not understood: the text is kept, and shown where a person typed it.
fn as_text(content_type: Option<&str>, body: &[u8]) -> FormFields {
    let text = String::from_utf8_lossy(body).replace('\0', "");
    let is_prose = content_type.is_none_or(|kind| media_type(kind).starts_with("text/"));
    let message = Some(text.trim().to_owned()).filter(|text| is_prose && !text.is_empty());
    FormFields { message, raw: Value::String(text), ..FormFields::default() }
}

/// The parts of a multipart body; of a file only its name. A broken end loses only what comes after it.
async fn multipart_pairs(content_type: &str, body: Bytes) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let Ok(request) = Request::builder().header(CONTENT_TYPE, content_type).body(Body::from(body)) else {
        return pairs;
    };
    let Ok(mut parts) = Multipart::from_request(request, &()).await else { return pairs };
    while let Ok(Some(part)) = parts.next_field().await {
        let name = part.name().unwrap_or_default().to_owned();
        let value = match part.file_name().map(str::to_owned) {
            Some(file) => file,
            None => match part.bytes().await {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(_) => break,
            },
        };
        pairs.push((name, value));
        if pairs.len() >= MAX_PARTS {
            break;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=utf-8");
    const JSON: Option<&str> = Some("application/json; charset=UTF-8");

    fn answers(fields: &FormFields) -> Value {
        Value::Object(fields.answers.clone())
    }

    #[test]
    fn elementor_simple_is_read_by_its_labels() {
        let body = "Your+name=Mere+K&Mobile+number=027+555+9001&Message=Hi%0AThere&Services=Bath%2C+Kitchen\
            &No+Label+field_1=blue&Company+name=Kerer%C5%AB+Ltd&E-mail=&Date=November+20%2C+2026&Time=1%3A00+pm\
            &Page+URL=https%3A%2F%2Fkereru.example%2F&User+Agent=Mozilla&Remote+IP=203.0.113.9&Powered+by=Elementor\
            &form_id=7ab12cd&form_name=Quote";
        let fields = read(FORM, body.as_bytes());
        assert_eq!(fields.name.as_deref(), Some("Mere K"));
        assert_eq!(fields.phone.as_deref(), Some("027 555 9001"));
        assert_eq!(fields.message.as_deref(), Some("Hi\nThere"));
        assert_eq!((fields.email.as_deref(), fields.form.as_deref()), (None, Some("7ab12cd")));
        assert_eq!(fields.external_id, None);
        let expected = json!({"Services": "Bath, Kitchen", "field_1": "blue", "Company name": "Kererū Ltd",
            "Date": "November 20, 2026", "Time": "1:00 pm", "Page URL": "https://kereru.example/",
            "form_name": "Quote"});
        assert_eq!(answers(&fields), expected);
        assert_eq!(fields.raw["Remote IP"], "203.0.113.9");
    }

    #[test]
    fn elementor_advanced_is_read_by_its_types() {
        let body = "form[id]=7ab12cd&form[name]=Quote\
            &fields[name][id]=name&fields[name][type]=text&fields[name][title]=Ingoa&fields[name][value]=Mere&fields[name][raw_value]=Mere&fields[name][required]=1\
            &fields[field_9][type]=tel&fields[field_9][title]=Ring+us+back%3F&fields[field_9][value]=%2B64+27+555+9001&fields[field_9][raw_value]=027+555+9001\
            &fields[mail][type]=email&fields[mail][title]=Where+to%3F&fields[mail][value]=m%40example.org&fields[mail][raw_value]=m%40example.org\
            &fields[q][type]=textarea&fields[q][title]=Your+project&fields[q][value]=Bath%3Cbr%3E&fields[q][raw_value]=Bath\
            &fields[trap][type]=honeypot&fields[trap][title]=&fields[trap][value]=\
            &fields[size][type]=text&fields[size][title]=Size&fields[size][value]=&fields[size][raw_value]=\
            &fields[when][type]=select&fields[when][title]=When&fields[when][value]=Soon&fields[when][raw_value]=Soon\
            &meta[remote_ip][title]=Remote+IP&meta[remote_ip][value]=203.0.113.9";
        let fields = read(FORM, body.as_bytes());
        assert_eq!(fields.name.as_deref(), Some("Mere"));
        assert_eq!(fields.phone.as_deref(), Some("027 555 9001"), "what was typed, not how it was formatted");
        assert_eq!(fields.email.as_deref(), Some("m@example.org"));
        assert_eq!(fields.message.as_deref(), Some("Bath"));
        assert_eq!(fields.form.as_deref(), Some("7ab12cd"));
        assert_eq!(answers(&fields), json!({"When": "Soon"}));
        assert_eq!(fields.raw["meta"]["remote_ip"]["value"], "203.0.113.9");
    }

    #[test]
    fn contact_form_7_is_read_with_its_lists_and_escapes() {
        let body = r#"{"your-name":"M\u0113re","your-email":"m@example.org","your-tel":"027 555 9001",
            "your-services":["Bath","Kitchen"],"your-region":["Te Tai Tokerau"],"your-message":"K\u016bmara \/ kai",
            "your-file":["https:\/\/site\/a.jpg"],"your-budget":[],"_remote_ip":"203.0.113.9","_serial_number":"7",
            "_wpcf7_unit_tag":"wpcf7-f1","_wpnonce":"abc","honeypot-123":""}"#;
        let fields = read(JSON, body.as_bytes());
        assert_eq!(fields.name.as_deref(), Some("Mēre"));
        assert_eq!(fields.email.as_deref(), Some("m@example.org"));
        assert_eq!(fields.phone.as_deref(), Some("027 555 9001"));
        assert_eq!(fields.message.as_deref(), Some("Kūmara / kai"));
        let expected = json!({"your-services": ["Bath", "Kitchen"], "your-region": "Te Tai Tokerau",
            "your-file": "https://site/a.jpg"});
        assert_eq!(answers(&fields), expected);
        let kept = fields.raw.as_object().unwrap();
        assert!(
            kept.contains_key("_remote_ip") && !kept.contains_key("_wpnonce") && !kept.contains_key("honeypot-123")
        );
    }

    #[test]
    fn wpforms_is_read_with_its_joined_choices_and_dates() {
        let body = r#"{"name":{"first":"Mere","middle":"","last":"K\u016bpapa"},"phone":275559001,
            "services":"Bath||Kitchen","visit":{"value":"2026-12-01 09:00","unix":1795089600},"details":"New bathroom"}"#;
        let fields = read(JSON, body.as_bytes());
        assert_eq!(fields.name.as_deref(), Some("Mere Kūpapa"));
        assert_eq!(fields.phone.as_deref(), Some("275559001"));
        assert_eq!(fields.message.as_deref(), Some("New bathroom"));
        assert_eq!(answers(&fields), json!({"services": ["Bath", "Kitchen"], "visit": "2026-12-01 09:00"}));
    }

    #[test]
    fn gravity_forms_is_read_by_name_inputs_and_values() {
        let body = r#"{"id":"12","form_id":"3","date_created":"2026-11-19 12:00:00","ip":"203.0.113.9",
            "source_url":"https:\/\/kereru.example\/quote\/","user_agent":"Mozilla","currency":"NZD","payment_status":null,
            "created_by":null,"status":"active","1.2":"","1.3":"Mere","1.6":"K","2":"027 555 9001","3":"m@example.org",
            "4":"Please ring 021 555 9002 first","5.1":"Bath","5.2":"","5.3":"Kitchen","6":"2026-12-01"}"#;
        let fields = read(JSON, body.as_bytes());
        assert_eq!(fields.name.as_deref(), Some("Mere K"));
        assert_eq!(fields.phone.as_deref(), Some("027 555 9001"));
        assert_eq!(fields.email.as_deref(), Some("m@example.org"));
        assert_eq!(fields.external_id.as_deref(), Some("gravity:kereru.example:3:12"));
        assert_eq!(fields.form.as_deref(), Some("3"));
        assert_eq!(fields.message.as_deref(), Some("Please ring 021 555 9002 first"));
        let expected = json!({"5": ["Bath", "Kitchen"], "6": "2026-12-01"});
        assert_eq!(answers(&fields), expected);
        let form = "id=12&form_id=3&date_created=2026-11-19+12%3A00%3A00&1.3=Mere&1.6=K&2=027+555+9001";
        let same = read(FORM, form.as_bytes());
        assert_eq!((same.name.as_deref(), same.phone.as_deref()), (Some("Mere K"), Some("027 555 9001")));
    }

    #[test]
    fn fluent_forms_is_read_in_both_modes() {
        let body = r#"{"names":{"first_name":"Mere","last_name":"K"},"phone":"027 555 9001","message":"Kia ora",
            "address_1":{"city":"Whang\u0101rei"},"__submission":{"id":"12","form_id":"3","serial_number":"12",
            "source_url":"https:\/\/kereru.example\/","user_inputs":{"phone":"027 555 9001"},"created_at":"2026-11-20 01:00:00"}}"#;
        let fields = read(JSON, body.as_bytes());
        assert_eq!(fields.name.as_deref(), Some("Mere K"));
        assert_eq!(fields.phone.as_deref(), Some("027 555 9001"));
        assert_eq!(fields.message.as_deref(), Some("Kia ora"));
        assert_eq!(fields.external_id.as_deref(), Some("fluent:kereru.example:3:12"));
        assert_eq!(answers(&fields), json!({"address_1 city": "Whangārei"}));
        let form = "names%5Bfirst_name%5D=Mere&names%5Blast_name%5D=K&phone=027+555+9001&message=Kia+ora\
            &address_1%5Bcity%5D=Whang%C4%81rei&__submission%5Bid%5D=12&__submission%5Bform_id%5D=3\
            &__submission%5Bsource_url%5D=https%3A%2F%2Fkereru.example%2F&__fluent_form_embded_post_id=4";
        let same = read(FORM, form.as_bytes());
        assert_eq!(FormFields { raw: Value::Null, ..same }, FormFields { raw: Value::Null, ..fields });
    }

    #[test]
    fn json_is_understood_whatever_it_is_called() {
        for kind in [FORM, None, Some("text/plain"), Some("application/vnd.api+json")] {
            assert_eq!(read(kind, br#"{"Phone":"027 555 9001"}"#).phone.as_deref(), Some("027 555 9001"), "{kind:?}");
        }
        assert_eq!(read(None, b"Phone=027+555+9001").phone.as_deref(), Some("027 555 9001"));
        let listed = read(JSON, br#"[{"name":"phone","value":"027 555 9001"},{"name":"Rooms","value":3}]"#);
        assert_eq!((listed.phone.as_deref(), answers(&listed)), (Some("027 555 9001"), json!({"Rooms": "3"})));
    }

    #[test]
    fn what_is_not_understood_is_kept() {
        let prose = read(Some("text/plain"), "Mere, 027 555 9001\0".as_bytes());
        assert_eq!(prose.raw, "Mere, 027 555 9001");
        assert_eq!((prose.phone, prose.message.as_deref()), (None, Some("Mere, 027 555 9001")));
        let broken = read(JSON, br#"{"Phone": "027"#);
        assert_eq!((broken.raw, broken.message), (json!(r#"{"Phone": "027"#), None));
        assert_eq!(read(Some("application/pdf"), &[0xFF, 0xD8]).raw, "\u{FFFD}\u{FFFD}");
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(read(JSON, deep.as_bytes()).raw, deep);
        assert_eq!(read(None, b""), FormFields { raw: json!(""), ..FormFields::default() });
        assert_eq!(read(JSON, b"7").raw, 7);
    }

    #[test]
    fn empty_texts_are_absent_and_no_text_holds_nul() {
        let fields = read(FORM, b"name=+&phone=&email=m%40example.org%00&Colour=%00&x=%20");
        assert_eq!((fields.name, fields.phone, fields.email.as_deref()), (None, None, Some("m@example.org")));
        assert!(fields.answers.is_empty() && !fields.raw.to_string().contains("u0000"));
    }

    #[tokio::test]
    async fn a_multipart_entry_is_read_and_a_file_leaves_its_name() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"Your name\"\r\n\r\nMēre\r\n\
            --b\r\nContent-Disposition: form-data; name=\"fields[phone]\"\r\n\r\n027 555 9001\r\n\
            --b\r\nContent-Disposition: form-data; name=\"Photo\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\u{1}\r\n--b--\r\n";
        let fields = read_any(Some("multipart/form-data; boundary=b"), Bytes::from(body)).await;
        assert_eq!((fields.name.as_deref(), fields.phone.as_deref()), (Some("Mēre"), Some("027 555 9001")));
        assert_eq!(answers(&fields), json!({"Photo": "a.jpg"}));
        let cut = read_any(Some("multipart/form-data; boundary=b"), Bytes::from(body[..90].to_owned())).await;
        assert!(cut.raw.is_string() || cut.name.is_some(), "a broken body is kept");
        let other = read_any(FORM, Bytes::from("Phone=027+555+9001")).await;
        assert_eq!(other.phone.as_deref(), Some("027 555 9001"));
    }

    #[test]
    fn the_same_entry_has_the_same_name_and_another_has_another() {
        let id = |body: &str, bucket| {
            let fields = read(FORM, body.as_bytes());
            fallback_external_id(fields.form.as_deref(), &fields, bucket)
        };
        let base = id("Phone=027+555+9001&Message=Hi&form_id=1", 7);
        assert_eq!(base, id("Phone=0275559001&Message=Hi&form_id=1&Colour=red", 7));
        for other in ["Phone=027+555+9002&Message=Hi&form_id=1", "Phone=027+555+9001&Message=Ho&form_id=1"] {
            assert_ne!(base, id(other, 7));
        }
        assert_ne!(base, id("Phone=027+555+9001&Message=Hi&form_id=1", 8));
        assert_ne!(base, id("Phone=027+555+9001&Message=Hi&form_id=2", 7));
        assert_ne!(id("Colour=red", 7), id("Colour=blue", 7), "two strangers without contact data are two entries");
    }
}
