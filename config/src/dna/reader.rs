//! Walks one mapping of the DNA and remembers what is wrong with it, key by key.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::DnaProblem;
use crate::{nearest::nearest, prices::micros_from_decimal, problem::Fault};

/// The longest text of one key, in characters.
const MAX_TEXT: usize = 2_000;
/// The longest list.
const MAX_LIST: usize = 500;

/// One mapping: what it is asked for is read, what it holds beyond that is unknown.
pub(super) struct Reader<'v, 'p> {
    path: String,
    map: Option<&'v Map<String, Value>>,
    asked: Vec<&'static str>,
    problems: &'p mut Vec<DnaProblem>,
}

impl<'v, 'p> Reader<'v, 'p> {
    /// Reads the mapping at `path` with `read`, then names what `read` did not ask for.
    pub fn open<T>(
        path: String,
        value: Option<&'v Value>,
        problems: &'p mut Vec<DnaProblem>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let map = value.and_then(Value::as_object);
        let mut reader = Self { path, map, asked: Vec::new(), problems };
        if value.is_some() && map.is_none() {
            let key = reader.path.clone();
            reader.push(key, Fault::new("is not a mapping of keys to values", "write its keys below it, indented"));
        }
        let read = read(&mut reader);
        reader.name_unknown_keys();
        read
    }

    /// A mapping below this one; absent ones read as empty.
    pub fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Reader<'v, '_>) -> T) -> T {
        let value = self.get(key);
        Reader::open(self.below(key), value, self.problems, read)
    }

    /// A list of mappings.
    pub fn sections<T>(&mut self, key: &'static str, read: impl Fn(&mut Reader<'v, '_>) -> T) -> Vec<T> {
        let items = self.items(key);
        let path = self.below(key);
        let problems = &mut *self.problems;
        items
            .iter()
            .enumerate()
            .map(|(index, item)| Reader::open(format!("{path}.{index}"), Some(item), problems, &read))
            .collect()
    }

    /// Text that is not blank.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.checked(key, |text| Ok(text.to_owned()))
    }

    /// Text that must be there.
    pub fn required(&mut self, key: &'static str) -> String {
        if self.get(key).is_none() {
            self.push(self.below(key), Fault::new("is missing", "add it"));
        }
        self.text(key).unwrap_or_default()
    }

    /// Text that passes a check; `None` when it is absent or wrong.
    pub fn checked<T>(&mut self, key: &'static str, check: impl Fn(&str) -> Result<T, Fault>) -> Option<T> {
        let checked = plain_text(self.get(key)?).and_then(check);
        self.kept(self.below(key), checked)
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        self.checked_texts(key, |text| Ok(text.to_owned()))
    }

    /// A list of texts that each pass a check.
    pub fn checked_texts(&mut self, key: &'static str, check: impl Fn(&str) -> Result<String, Fault>) -> Vec<String> {
        let items = self.items(key);
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}.{index}", self.below(key));
            texts.extend(self.kept(path, plain_text(item).and_then(&check)));
        }
        texts
    }

    /// True or false.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.get(key) else { return default };
        let flag = value.as_bool().ok_or_else(|| Fault::new("is neither true nor false", "write true or false"));
        self.kept(self.below(key), flag).unwrap_or(default)
    }

    /// A whole number within `range`.
    pub fn whole(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.get(key)?.as_u64().and_then(|number| u32::try_from(number).ok());
        let fault = || {
            let problem = format!("is not a whole number from {} to {}", range.start(), range.end());
            Fault::new(problem, "write a number within these bounds")
        };
        self.kept(self.below(key), number.filter(|number| range.contains(number)).ok_or_else(fault))
    }

    /// A number that is not negative, in millionths.
    pub fn millionths(&mut self, key: &'static str, default: i64) -> i64 {
        let Some(value) = self.get(key) else { return default };
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => String::new(),
        };
        let number = micros_from_decimal(&text).filter(|number| *number >= 0);
        let fault = || Fault::new("is not a number from 0 with at most six decimals", "write it like 50.0");
        self.kept(self.below(key), number.ok_or_else(fault)).unwrap_or(default)
    }

    fn items(&mut self, key: &'static str) -> &'v [Value] {
        let Some(value) = self.get(key) else { return &[] };
        let fault = || Fault::new("is not a list", "write it like [\"one\", \"two\"]");
        let items = match value.as_array() {
            Some(items) if items.len() > MAX_LIST => {
                Err(Fault::new(format!("has more than {MAX_LIST} entries"), "shorten it"))
            }
            items => items.ok_or_else(fault),
        };
        self.kept(self.below(key), items).map_or(&[], Vec::as_slice)
    }

    fn get(&mut self, key: &'static str) -> Option<&'v Value> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.map.and_then(|map| map.get(key))
    }

    fn below(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn kept<T>(&mut self, path: String, value: Result<T, Fault>) -> Option<T> {
        value.map_err(|fault| self.push(path, fault)).ok()
    }

    fn push(&mut self, key: String, fault: Fault) {
        self.problems.push(DnaProblem { key, problem: fault.problem, fix: fault.fix });
    }

    fn name_unknown_keys(&mut self) {
        let Some(map) = self.map else { return };
        for key in map.keys() {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let fix = nearest(key, self.asked.iter().copied()).map_or_else(
                || format!("remove it; known here: {}", self.asked.join(", ")),
                |known| format!("did you mean {known}?"),
            );
            self.push(self.below(key), Fault::new("unknown key", fix));
        }
    }
}

fn plain_text(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::String(text) if text.trim().is_empty() => Err(Fault::new("is blank", "fill it in or remove it")),
        Value::String(text) if text.chars().count() > MAX_TEXT => {
            Err(Fault::new(format!("is longer than {MAX_TEXT} characters"), "shorten it"))
        }
        Value::String(text) => Ok(text.trim()),
        Value::Number(_) => Err(Fault::new("is a number, not text", "put it in quotes")),
        Value::Bool(_) => Err(Fault::new("is true or false, not text", "put it in quotes")),
        _ => Err(Fault::new("is not text", "write text in quotes")),
    }
}
