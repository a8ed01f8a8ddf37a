//! Where a value comes from: environment, then file, then default. Collects what is wrong instead of stopping at it.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    file::Values,
    keys::{Key, by_key},
    problem::{Checked, Fault, Problem},
};

/// One value as it was given.
struct Given {
    text: String,
    /// The name under which it was given, for problems.
    name: &'static str,
}

/// All places a setting may stand in, and the problems found so far.
pub(crate) struct Source<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    file: Values,
    problems: Vec<Problem>,
}

impl<'a> Source<'a> {
    pub fn new(env: &'a dyn Fn(&str) -> Option<String>, file: Values, problems: Vec<Problem>) -> Self {
        Self { env, file, problems }
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The value if it was given or has a default.
    pub fn text(&self, key: &str) -> Option<String> {
        self.find(known(key)).map(|given| given.text)
    }

    /// Whether the value was given or has a default, good or bad.
    pub fn is_set(&self, key: &str) -> bool {
        self.find(known(key)).is_some()
    }

    /// Whether a problem with this value has been found already.
    pub fn is_wrong(&self, key: &str) -> bool {
        let key = known(key);
        self.problems.iter().any(|problem| problem.key == key.env || problem.key == key.key)
    }

    /// The checked value; `None` when it is unset or wrong.
    pub fn checked<T>(&mut self, key: &str, check: impl FnOnce(&str) -> Checked<T>) -> Option<T> {
        let given = self.find(known(key))?;
        match check(&given.text) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.push(given.name, fault);
                None
            }
        }
    }

    /// A whole number within `range`.
    pub fn number(&mut self, key: &str, range: RangeInclusive<u64>) -> u64 {
        let lowest = *range.start();
        let check = |text: &str| match text.parse::<u64>() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(Fault::new(
                format!("is not a whole number from {} to {}", range.start(), range.end()),
                "write digits only, within these bounds",
            )),
        };
        self.checked(key, check).unwrap_or(lowest)
    }

    /// A count within `range`, for sizes in memory.
    pub fn count(&mut self, key: &str, range: RangeInclusive<u32>) -> u32 {
        let (lowest, highest) = (*range.start(), *range.end());
        let number = self.number(key, u64::from(lowest)..=u64::from(highest));
        u32::try_from(number).unwrap_or(highest)
    }

    /// A time in whole seconds within `range`.
    pub fn seconds(&mut self, key: &str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(key, range))
    }

    /// A time in whole milliseconds within `range`.
    pub fn milliseconds(&mut self, key: &str, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(key, range))
    }

    /// A list separated by commas, every entry checked; each wrong entry is a problem.
    pub fn list<T>(&mut self, key: &str, check: impl Fn(&str) -> Checked<T>) -> Vec<T> {
        let Some(given) = self.find(known(key)) else { return Vec::new() };
        let mut items = Vec::new();
        for text in given.text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            match check(text) {
                Ok(item) => items.push(item),
                Err(fault) => self.push(given.name, fault),
            }
        }
        items
    }

    /// Adds a problem that shows only between settings, under the name the value was given by (else its variable).
    pub fn refuse(&mut self, key: &str, problem: impl Into<String>, fix: impl Into<String>) {
        let key = known(key);
        let name = self.find(key).map_or(key.env, |given| given.name);
        self.push(name, Fault::new(problem, fix));
    }

    fn push(&mut self, name: &str, fault: Fault) {
        self.problems.push(Problem { key: name.to_owned(), problem: fault.problem, fix: fault.fix });
    }

    /// Empty text counts as unset: `VARIABLE=` in a compose file means "not given".
    fn find(&self, key: &'static Key) -> Option<Given> {
        let filled = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let from_env = (self.env)(key.env).and_then(filled).map(|text| Given { text, name: key.env });
        from_env
            .or_else(|| self.file.get(key.key).cloned().and_then(filled).map(|text| Given { text, name: key.key }))
            .or_else(|| key.default.map(|text| Given { text: text.to_owned(), name: key.env }))
    }
}

/// Sections name their keys by literals; every literal stands in the table (a test loads all sections).
fn known(key: &str) -> &'static Key {
    by_key(key).expect("sections ask only for keys of the table")
}
