//! Form parameters, in the order they came.

use url::form_urlencoded;

/// Parameters as they are sent: names may repeat.
pub(crate) type Params = Vec<(String, String)>;

/// One parameter.
pub(crate) fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// What a request carries in its query or its body.
#[derive(Debug, Default)]
pub(crate) struct Form(Params);

impl Form {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The value of a name; an empty one is none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// Every word of every value of a name: lists are repeated names, or words in one.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        let values = self.0.iter().filter(|(key, _)| key == name);
        values.flat_map(|(_, value)| value.split_whitespace()).map(str::to_owned).collect()
    }

    /// A number; `None` where there is none or it is not one.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }

    /// Query text of everything but `without`.
    pub(crate) fn query_without(&self, without: &[&str]) -> String {
        let kept = self.0.iter().filter(|(key, _)| !without.contains(&key.as_str()));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
    }
}

/// Is it a number that can be dialled: `+` and 8 to 15 digits, the first not 0?
pub(crate) fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_belongs_to_the_name() {
        let form = Form::parse(b"StartTime%3E=2026-11-01&To=%2B64275559001&A=1&A=2+3&Empty=");
        assert_eq!(form.get("StartTime>"), Some("2026-11-01"));
        assert_eq!(form.get("To"), Some("+64275559001"));
        assert_eq!(form.words("A"), ["1", "2", "3"]);
        assert_eq!(form.get("Empty"), None);
        assert_eq!(form.query_without(&["A", "Empty"]), "StartTime%3E=2026-11-01&To=%2B64275559001");
    }

    #[test]
    fn only_whole_numbers_can_be_dialled() {
        assert!(is_e164("+64275559001"));
        for bad in ["+640", "64275559001", "+0275559001", "+6427555900x", "", "+", "+1234567890123456"] {
            assert!(!is_e164(bad), "{bad}");
        }
    }
}
