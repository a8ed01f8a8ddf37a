//! Finds the person among the fields: what the plugin says first, then the label, then the value itself.
//!
//! A wrong number rings a stranger, so a phone number is taken from an unknown label only when the whole value is one,
//! nothing else could be meant, and there is just one of them.

use serde_json::{Map, Value};

use super::shape::{Field, Kind};
use super::words::{self, Fit, Vocabulary};
use crate::webhooks::fields::{FormFields, add_answer};

/// Sorts the fields into the person and the answers.
pub(super) fn sort(fields: Vec<Field>) -> FormFields {
    let mut open: Vec<Open> = fields.into_iter().map(Open::new).collect();
    let mut email = take_best(&mut open, Some(Kind::Email), &words::EMAIL, &|text| text.contains('@'), &is_email);
    let mut phone = take_best(&mut open, Some(Kind::Phone), &words::PHONE, &has_digit, &is_phone);
    let message = take_best(&mut open, Some(Kind::Message), &words::MESSAGE, &|_| true, &has_letter);
    let name = take_name(&mut open);
    if email.is_none() {
        email = take_only(&mut open, &|field| is_email(&field.text()));
    }
    if phone.is_none() {
        phone = take_only(&mut open, &|field| field.hides_phone());
    }
    let mut answers = Map::new();
    for Open { field, .. } in open {
        add_answer(&mut answers, &field.label, choices(field.value));
    }
    let joined = |value: Value, between: &str| parts(&value).join(between);
    FormFields {
        name,
        phone: phone.and_then(first_part),
        email: email.and_then(first_part),
        message: message.map(|value| joined(value, ", ")),
        answers,
        ..FormFields::default()
    }
}

/// A field not yet given a meaning.
struct Open {
    field: Field,
    /// The words of the label, and of the id where that is another name.
    labels: Vec<Vec<String>>,
}

impl Open {
    fn new(field: Field) -> Self {
        let mut labels = vec![words::words(&field.label)];
        if field.id != field.label {
            labels.push(words::words(&field.id));
        }
        Self { field, labels }
    }

    /// The first text of the value.
    fn text(&self) -> String {
        parts(&self.field.value).into_iter().next().unwrap_or_default()
    }

    fn fit(&self, vocabulary: &Vocabulary) -> Option<Fit> {
        self.labels.iter().filter_map(|label| vocabulary.fit(label)).min()
    }

    /// Is the whole value a phone number, under a label that could hold one?
    fn hides_phone(&self) -> bool {
        let text = self.text();
        self.field.kind.is_none()
            && self.labels.iter().all(|label| words::may_hide_phone(label))
            && self.fit(&words::MESSAGE).is_none()
            && is_phone(&text)
            && (text.starts_with(['+', '0', '(', '０', '＋'])
                || digits(&text).len() >= 10 && !text.chars().all(char::is_numeric))
    }
}

/// How sure we are; less is better. What cannot be right comes last, whatever its label says.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    is_doubtful: bool,
    is_guess: bool,
    place: usize,
}

/// Takes the field that fits best. A typed field or an exact label needs to be `possible`, a partial one `plausible`.
fn take_best(
    open: &mut Vec<Open>,
    kind: Option<Kind>,
    vocabulary: &Vocabulary,
    possible: &dyn Fn(&str) -> bool,
    plausible: &dyn Fn(&str) -> bool,
) -> Option<Value> {
    let rank = |field: &Open| {
        let text = field.text();
        let is_plausible = plausible(&text);
        let (is_guess, place) = match field.field.kind {
            Some(known) if Some(known) == kind => (false, 0),
            Some(_) => return None,
            None => match field.fit(vocabulary)? {
                Fit::Exact(place) => (false, place + 1),
                Fit::Partial => (true, 0),
            },
        };
        let is_accepted = if is_guess { is_plausible } else { possible(&text) };
        is_accepted.then_some(Rank { is_doubtful: !is_plausible, is_guess, place })
    };
    let ranked = open.iter().enumerate().filter_map(|(index, field)| Some((rank(field)?, index)));
    let (_, index) = ranked.min()?;
    Some(open.remove(index).field.value)
}

/// Takes the one field that qualifies; several different values are no answer at all.
fn take_only(open: &mut Vec<Open>, qualifies: &dyn Fn(&Open) -> bool) -> Option<Value> {
    let found: Vec<usize> =
        open.iter().enumerate().filter(|(_, field)| qualifies(field)).map(|(index, _)| index).collect();
    let first = *found.first()?;
    let is_same = |index: &usize| open[*index].text() == open[first].text();
    found.iter().all(is_same).then(|| open.remove(first).field.value)
}

/// First and last name, or the full one; or both, where a form calls the family name simply "name".
fn take_name(open: &mut Vec<Open>) -> Option<String> {
    let mut take = |kind, vocabulary, fallback: bool| {
        let possible = |text: &str| fallback || is_name(text);
        take_best(open, kind, vocabulary, &possible, &is_name).map(|value| parts(&value).join(" "))
    };
    let first = take(Some(Kind::FirstName), &words::FIRST_NAME, true);
    let last = take(Some(Kind::LastName), &words::LAST_NAME, true);
    let full = if first.is_some() && last.is_some() { None } else { take(None, &words::FULL_NAME, false) };
    let contains = |whole: &str, part: &str| whole.to_lowercase().contains(&part.to_lowercase());
    let name = match (first, last, full) {
        (Some(first), Some(last), _) => format!("{first} {last}"),
        (Some(first), None, Some(full)) if !contains(&full, &first) => format!("{first} {full}"),
        (None, Some(last), Some(full)) if !contains(&full, &last) => format!("{full} {last}"),
        (first, last, full) => full.or(first).or(last)?,
    };
    Some(name.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The texts of a value; `WPForms` joins several with `||`.
fn parts(value: &Value) -> Vec<String> {
    let split = |text: &str| {
        let parts = text.split("||").map(|part| part.trim().to_owned());
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>()
    };
    match value {
        Value::Array(items) => items.iter().flat_map(parts).collect(),
        Value::String(text) => split(text),
        _ => Vec::new(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "fits `Option::and_then` on an owned value")]
fn first_part(value: Value) -> Option<String> {
    parts(&value).into_iter().next()
}

/// An answer: several choices as a list, one as itself.
fn choices(value: Value) -> Value {
    match value {
        Value::String(text) if text.contains("||") => match parts(&Value::String(text.clone())).as_slice() {
            [] => Value::String(text),
            [one] => Value::String(one.clone()),
            several => several.iter().cloned().map(Value::String).collect(),
        },
        other => other,
    }
}

fn has_digit(text: &str) -> bool {
    text.chars().any(char::is_numeric)
}

fn has_letter(text: &str) -> bool {
    text.chars().any(char::is_alphabetic)
}

/// Could this be what somebody is called?
fn is_name(text: &str) -> bool {
    has_letter(text) && !text.contains('@') && !text.contains("://") && text.chars().count() <= 120
}

/// Is the whole text one e-mail address?
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_clean = !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>(),;:\"[]\\".contains(c));
    let labels_fit = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
    is_clean && !local.is_empty() && labels_fit && !domain.contains('@') && text.len() <= 254
}

/// Is the whole text written as one phone number: 7 to 15 digits, and not a date, an address of a computer or a price?
pub(super) fn is_phone(text: &str) -> bool {
    let lower = text.trim().to_lowercase();
    let lower = lower.strip_prefix("tel:").unwrap_or(&lower);
    let number = without_extension(lower);
    let is_separator = |c: char| c.is_whitespace() || "+-./()\u{AD}＋－（）‐‑–".contains(c) || is_invisible(c);
    let is_written_so = number.chars().all(|c| c.is_numeric() || is_separator(c));
    is_written_so && (7..=15).contains(&digits(number).len()) && !is_other_number(number)
}

fn without_extension(text: &str) -> &str {
    let cut = [";ext=", "ext", "x", "#"].iter().find_map(|mark| text.split_once(mark));
    let is_extension = |rest: &str| {
        let rest = rest.trim_matches([' ', '.', ':']);
        !rest.is_empty() && rest.len() <= 6 && rest.bytes().all(|b| b.is_ascii_digit())
    };
    cut.filter(|(_, rest)| is_extension(rest)).map_or(text, |(number, _)| number)
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

fn digits(text: &str) -> Vec<char> {
    text.chars().filter(|c| c.is_numeric()).collect()
}

/// A date (`2026-11-19`, `19.11.2026`), an IP address, or an amount (`150000.00`).
fn is_other_number(text: &str) -> bool {
    let lengths = |separator: char| text.trim().split(separator).map(group_length).collect::<Option<Vec<usize>>>();
    let is_date = ['-', '/', '.'].iter().any(|separator| {
        lengths(*separator).is_some_and(|found| matches!(found.as_slice(), [4, 1 | 2, 1 | 2] | [1 | 2, 1 | 2, 4]))
    });
    let dotted = lengths('.');
    let is_address = dotted.as_ref().is_some_and(|found| found.len() == 4 && found.iter().all(|length| *length <= 3));
    let is_amount = dotted.is_some_and(|found| matches!(found.as_slice(), [_, 1 | 2]));
    is_date || is_address || is_amount
}

/// How many digits, if it is nothing but digits.
fn group_length(group: &str) -> Option<usize> {
    (!group.is_empty() && group.chars().all(char::is_numeric)).then(|| group.chars().count())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sorted(pairs: &[(&str, &str)]) -> FormFields {
        let field = |(label, value): &(&str, &str)| Field {
            id: (*label).to_owned(),
            label: (*label).to_owned(),
            kind: None,
            value: json!(value),
        };
        sort(pairs.iter().map(field).collect())
    }

    #[test]
    fn phone_numbers_are_told_from_other_digits() {
        for phone in [
            "027 555 9001",
            "+64 (0)27 555 9001",
            "(415) 555-2671",
            "０２７５５５９００１",
            "09 888 9002 x12",
            "tel:+6498889002",
        ] {
            assert!(is_phone(phone), "{phone}");
        }
        for other in [
            "2026-11-19",
            "19.11.2026",
            "1/12/2026",
            "203.0.113.99",
            "150000.00",
            "12",
            "Call 027 555 9001",
            "",
            "4111 1111 1111 1111",
        ] {
            assert!(!is_phone(other), "{other}");
        }
    }

    #[test]
    fn a_number_under_an_unknown_label_is_taken_only_when_nothing_else_is_meant() {
        assert_eq!(sorted(&[("電話", "027 555 9001")]).phone.as_deref(), Some("027 555 9001"));
        for label in ["Order number", "ABN", "Fax", "Preferred date", "IP", "Kundennummer"] {
            let fields = sorted(&[(label, "0275559001")]);
            assert_eq!(fields.phone, None, "{label}");
            assert_eq!(fields.answers[label], "0275559001");
        }
        assert_eq!(sorted(&[("X", "12345678901")]).phone, None, "bare digits could be anything");
    }

    #[test]
    fn two_unlabelled_numbers_are_no_number() {
        let two = sorted(&[("A", "027 555 9001"), ("B", "021 555 9002")]);
        assert_eq!((two.phone, two.answers.len()), (None, 2));
    }

    #[test]
    fn a_number_inside_a_message_is_never_taken() {
        let fields = sorted(&[("Message", "027 555 9001"), ("About", "Call me on 027 555 9001 please")]);
        assert_eq!(fields.phone, None);
        assert_eq!(fields.message.as_deref(), Some("027 555 9001"));
    }

    #[test]
    fn an_exact_label_beats_a_partial_one_and_a_possible_value_an_impossible_one() {
        let fields = sorted(&[("Office phone line", "09 888 9002"), ("Phone", "027 555 9001")]);
        assert_eq!(fields.phone.as_deref(), Some("027 555 9001"));
        let fields = sorted(&[("Phone", "12"), ("Alternative phone", "027 555 9001")]);
        assert_eq!(fields.phone.as_deref(), Some("027 555 9001"));
        let fields = sorted(&[("Phone", "n/a")]);
        assert_eq!((fields.phone, &fields.answers["Phone"]), (None, &json!("n/a")));
        assert_eq!(
            sorted(&[("Phone", "12")]).phone.as_deref(),
            Some("12"),
            "as typed; whether it rings is decided later"
        );
    }

    #[test]
    fn a_mobile_beats_a_landline() {
        let fields = sorted(&[("Phone", "09 888 9002"), ("Mobile", "027 555 9001")]);
        assert_eq!(fields.phone.as_deref(), Some("027 555 9001"));
        assert_eq!(fields.answers["Phone"], "09 888 9002");
    }

    #[test]
    fn an_address_is_found_by_value_only_when_there_is_one() {
        assert_eq!(sorted(&[("4", "m@example.org")]).email.as_deref(), Some("m@example.org"));
        assert_eq!(sorted(&[("4", "m@example.org"), ("5", "n@example.org")]).email, None);
        assert_eq!(sorted(&[("4", "see @me.")]).email, None);
        assert_eq!(sorted(&[("Mail address", "12 Queen St")]).email, None);
    }

    #[test]
    fn names_are_joined_the_way_each_language_splits_them() {
        for (pairs, expected) in [
            (vec![("First Name", "Mere"), ("Last Name", "Kūpapa")], "Mere Kūpapa"),
            (vec![("Nom", "Dubois"), ("Prénom", "Anne")], "Anne Dubois"),
            (vec![("Vorname", "Jürgen"), ("Name", "Groß")], "Jürgen Groß"),
            (vec![("Nombre", "Ana"), ("Apellidos", "Ruiz Gil")], "Ana Ruiz Gil"),
            (vec![("Name", "Mere Kūpapa"), ("First name", "Mere")], "Mere Kūpapa"),
            (vec![("Last name", "Kūpapa")], "Kūpapa"),
            (vec![("Your name", "Mere   K")], "Mere K"),
        ] {
            assert_eq!(sorted(&pairs).name.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_company_is_not_a_person() {
        let fields = sorted(&[("Company name", "Kererū Ltd")]);
        assert_eq!(fields.name, None);
        assert_eq!(fields.answers["Company name"], "Kererū Ltd");
    }

    #[test]
    fn choices_joined_with_bars_are_a_list() {
        let fields = sorted(&[("Services", "Bath||Kitchen"), ("Phone", "027 555 9001||09 888 9002")]);
        assert_eq!(fields.answers["Services"], json!(["Bath", "Kitchen"]));
        assert_eq!(fields.phone.as_deref(), Some("027 555 9001"));
    }
}
