//! What people write into a phone field, read down to digits.

use super::PhoneProblem;

/// More bytes than any number with its extension needs.
const LONGEST_RAW: usize = 200;

/// The most digits an extension has.
const LONGEST_EXTENSION: usize = 7;

/// Words that may stand before a number; longer ones first.
const LABELS: [&str; 10] = ["telephone", "mobile", "phone", "cell", "tel", "mob", "ph", "t", "m", "p"];

/// Words and signs that announce an extension; longer ones first.
const EXTENSION_MARKS: [&str; 7] = [";ext=", "extension", "extn", "ext.", "ext", "x", "#"];

/// The most digits that can stand alone before a slash without being a number: `0221/…`.
const AREA_CODE_DIGITS: usize = 5;

/// The digit zero of each script that has its own.
const ZEROS: [u32; 36] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
];

/// One number as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Written with a leading `+`.
    pub plus: bool,
    /// ASCII digits.
    pub digits: String,
    /// What to dial after the call is answered.
    pub extension: Option<String>,
}

/// Reads exactly one number.
pub(super) fn read(raw: &str) -> Result<Reading, PhoneProblem> {
    if raw.len() > LONGEST_RAW {
        return Err(PhoneProblem::Unreadable);
    }
    let folded: String = raw.chars().filter_map(fold).collect();
    let text = folded.trim();
    if text.is_empty() {
        return Err(PhoneProblem::Empty);
    }
    let (text, extension) = cut_extension(without_label(text));
    let (plus, digits) = one_number(text)?;
    Ok(Reading { plus, digits, extension })
}

/// One character in plain ASCII lower case; `None`: invisible.
fn fold(c: char) -> Option<char> {
    if let Some(digit) = ZEROS.iter().find_map(|zero| (u32::from(c).checked_sub(*zero)).filter(|digit| *digit < 10)) {
        return char::from_digit(digit, 10);
    }
    match c {
        '\u{00AD}'
        | '\u{061C}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{2069}'
        | '\u{FEFF}' => None,
        '\u{2010}'..='\u{2015}' | '\u{2053}' | '\u{2212}' | '\u{30FC}' | '~' | '\u{223C}' | '\u{FF5E}' => Some('-'),
        // full-width forms of the ASCII signs and letters
        '\u{FF01}'..='\u{FF5D}' => char::from_u32(u32::from(c) - 0xFEE0).map(|c| c.to_ascii_lowercase()),
        '[' | '{' => Some('('),
        ']' | '}' => Some(')'),
        '|' | '&' | ',' | '\n' | '\r' => Some(';'),
        c if c.is_whitespace() => Some(' '),
        c => Some(c.to_ascii_lowercase()),
    }
}

/// Drops `tel:` and the like in front of a number.
fn without_label(text: &str) -> &str {
    let found = LABELS.iter().find_map(|label| text.strip_prefix(label));
    match found.map(|rest| rest.trim_start_matches([' ', '.', ':'])) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '(') => rest,
        _ => text,
    }
}

fn cut_extension(text: &str) -> (&str, Option<String>) {
    let body = text.trim_end_matches([' ', '#', ')']);
    let front = body.trim_end_matches(|c: char| c.is_ascii_digit());
    let extension = &body[front.len()..];
    let front = front.trim_end_matches([' ', ':', '.']);
    let mark = EXTENSION_MARKS.iter().find_map(|mark| front.strip_suffix(mark));
    match mark {
        Some(number) if (1..=LONGEST_EXTENSION).contains(&extension.len()) => {
            (number.trim_end_matches([' ', '(', ';', '-']), Some(extension.to_owned()))
        }
        _ => (text, None),
    }
}

/// The sign and digits of the only number in the text. Digits of two numbers are never joined.
fn one_number(text: &str) -> Result<(bool, String), PhoneProblem> {
    let text = text.replace(" or ", ";").replace(" and ", ";");
    let numbers: Vec<&str> = text.split(';').filter(|part| has_digit(part)).collect();
    let written = match numbers[..] {
        [] => return Err(PhoneProblem::Unreadable),
        [number] => number,
        _ => return Err(PhoneProblem::SeveralNumbers),
    };
    let mut parts = written.split('/').filter(|part| has_digit(part));
    let (plus, mut digits) = digits_of(parts.next().unwrap_or_default())?;
    for (nth, part) in parts.enumerate() {
        let (next_plus, next) = digits_of(part)?;
        let area_code = nth > 0 || digits.len() <= AREA_CODE_DIGITS;
        if next_plus || next.starts_with('0') || !area_code {
            return Err(PhoneProblem::SeveralNumbers);
        }
        digits.push_str(&next);
    }
    Ok((plus, digits))
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

fn digits_of(text: &str) -> Result<(bool, String), PhoneProblem> {
    let (mut plus, mut digits) = (false, String::new());
    for c in text.chars() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if digits.is_empty() && !plus => plus = true,
            '+' if !digits.is_empty() => return Err(PhoneProblem::SeveralNumbers),
            ' ' | '-' | '.' | '(' | ')' | '/' => {}
            _ => return Err(PhoneProblem::Unreadable),
        }
    }
    Ok((plus, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(raw: &str) -> Result<String, PhoneProblem> {
        read(raw).map(|reading| format!("{}{}", if reading.plus { "+" } else { "" }, reading.digits))
    }

    #[test]
    fn marks_and_invisible_signs_do_not_count() {
        for raw in [
            "027 555 9001",
            "(027) 555-9001",
            "027.555.9001",
            "027/555 9001",
            "027/555/9001",
            "\u{202A}027\u{00A0}555\u{2009}9001\u{202C}",
            "027\u{2011}555\u{2013}9001",
            "\u{FEFF}０２７\u{3000}５５５９００１",
            "٠٢٧ ٥٥٥ ٩٠٠١",
            "०२७५५५९००१",
            "tel:027-555-9001",
            "Ph: 027 555 9001",
            "M 027 555 9001",
            " 027 555 9001,",
        ] {
            assert_eq!(digits(raw).as_deref(), Ok("0275559001"), "{raw:?}");
        }
        assert_eq!(digits("（＋６４）27 555 9001").as_deref(), Ok("+64275559001"));
    }

    #[test]
    fn an_extension_is_cut_off() {
        for raw in [
            "09 888 9002 x12",
            "09 888 9002x12",
            "09 888 9002 ext. 12",
            "09 888 9002 Extension: 12",
            "09 888 9002 extn 12",
            "09 888 9002 #12",
            "09 888 9002 x12#",
            "09 888 9002 (ext 12)",
            "tel:09-888-9002;ext=12",
        ] {
            let reading = read(raw).unwrap();
            assert_eq!((reading.digits.as_str(), reading.extension.as_deref()), ("098889002", Some("12")), "{raw:?}");
        }
    }

    #[test]
    fn two_numbers_are_never_joined() {
        for raw in [
            "027 555 9001 / 021 1",
            "027 555 9001/4",
            "388 9002 / 4",
            "027 555 9001, 021 555 1234",
            "027 555 9001; 1",
            "027 555 9001 or 021 555 1234",
            "027 555 9001 & 021 555 1234",
            "027 555 9001\n021 555 1234",
            "027 555 9001||09 888 9002",
            "027 555 9001 +64 21 555 1234",
            "+64 27 555 9001 / +64 21 555 1234",
            "09 / 0800 838 383",
        ] {
            assert_eq!(digits(raw), Err(PhoneProblem::SeveralNumbers), "{raw:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_not_guessed() {
        for raw in ["n/a", "none", "0800 FLOWERS", "a@b.nz 1", "*123", "++64 27", "½", "027²", "-"] {
            assert_eq!(digits(raw), Err(PhoneProblem::Unreadable), "{raw:?}");
        }
        for raw in ["", "  ", "\u{200B}"] {
            assert_eq!(digits(raw), Err(PhoneProblem::Empty), "{raw:?}");
        }
        assert_eq!(digits(&"0".repeat(201)), Err(PhoneProblem::Unreadable));
    }
}
