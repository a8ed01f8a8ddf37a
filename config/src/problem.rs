//! What is wrong with the settings, and how to put it right. Values are never repeated: they may be secrets.

use std::fmt;

/// One thing wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}. Fix: {fix}")]
pub struct Problem {
    /// The environment variable, or `section.key` when the value stands in the file.
    pub key: String,
    /// What is wrong, as a fragment without a full stop.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

/// Everything wrong with the settings, so that one start shows it all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}. {problem}", index + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What a check of one value answers: the value, or what is wrong without the name of the key.
pub(crate) type Checked<T> = Result<T, Fault>;

/// A problem before it is known which key it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub problem: String,
    pub fix: String,
}

impl Fault {
    pub fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { problem: problem.into(), fix: fix.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_a_numbered_list_with_one_line_each() {
        let problem = |key: &str| Problem { key: key.into(), problem: "is wrong".into(), fix: "put it right".into() };
        let text = Problems(vec![problem("A"), problem("B")]).to_string();
        assert_eq!(text, "1. A: is wrong. Fix: put it right\n2. B: is wrong. Fix: put it right");
    }
}
