//! `apex.toml`: the same keys as the environment, by section.

use std::{collections::BTreeMap, path::Path};

use crate::{
    keys::{KEYS, Kind, by_key},
    nearest::nearest,
    problem::Problem,
};

/// The values of the file as the environment would write them, by `section.key`.
pub(crate) type Values = BTreeMap<&'static str, String>;

/// Reads the file; what is wrong with it is added to `problems`.
pub(crate) fn read(path: &Path, problems: &mut Vec<Problem>) -> Values {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&path.display().to_string(), &text, problems),
        Err(error) => {
            problems.push(Problem {
                key: path.display().to_string(),
                problem: format!("cannot be read ({error})"),
                fix: "check the path and its permissions".into(),
            });
            Values::new()
        }
    }
}

fn parse(file: &str, text: &str, problems: &mut Vec<Problem>) -> Values {
    let table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            problems.push(Problem {
                key: file.to_owned(),
                // Only the parser's message and the place: the line itself may hold a secret.
                problem: format!("{}is not TOML ({})", place(text, error.span()), error.message()),
                fix: "correct the line; default.toml shows the form".into(),
            });
            return Values::new();
        }
    };
    let mut values = Values::new();
    for (name, value) in &table {
        match value {
            toml::Value::Table(section) => {
                for (key, value) in section {
                    take(file, &format!("{name}.{key}"), value, &mut values, problems);
                }
            }
            value => take(file, name, value, &mut values, problems),
        }
    }
    values
}

fn place(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let Some(before) = span.and_then(|span| text.get(..span.start)) else { return String::new() };
    format!("line {} ", before.matches('\n').count() + 1)
}

fn take(file: &str, name: &str, value: &toml::Value, values: &mut Values, problems: &mut Vec<Problem>) {
    let Some(key) = by_key(name) else {
        let fix = nearest(name, KEYS.iter().map(|key| key.key)).map_or_else(
            || "remove it; default.toml lists every key".to_owned(),
            |known| format!("did you mean {known}?"),
        );
        problems.push(Problem { key: name.to_owned(), problem: format!("unknown key in {file}"), fix });
        return;
    };
    match text_of(value, key.kind) {
        Ok(text) => {
            values.insert(key.key, text);
        }
        Err(form) => problems.push(Problem {
            key: name.to_owned(),
            problem: format!("is not {form}"),
            fix: format!("write it as {form}"),
        }),
    }
}

/// The value as the environment would write it, or the form it should have.
fn text_of(value: &toml::Value, kind: Kind) -> Result<String, &'static str> {
    match (kind, value) {
        (Kind::Number, toml::Value::Integer(number)) => Ok(number.to_string()),
        (Kind::Number, _) => Err("an integer"),
        (_, toml::Value::String(text)) => Ok(text.clone()),
        (Kind::List | Kind::SecretList, toml::Value::Array(items)) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(",")).ok_or("a list of strings")
        }
        (Kind::List | Kind::SecretList, _) => Err("a list of strings"),
        (Kind::Text | Kind::Secret, _) => Err("a string in quotes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Values, Vec<Problem>) {
        let mut problems = Vec::new();
        let values = parse("apex.toml", text, &mut problems);
        (values, problems)
    }

    #[test]
    fn sections_become_dotted_keys() {
        let (values, problems) = read_text(
            "data_dir = \"d\"\n[redis]\nttl_seconds = 5\n[server]\nallowed_origins = [\"https://a\", \"https://b\"]",
        );
        assert_eq!(problems, []);
        assert_eq!(values["data_dir"], "d");
        assert_eq!(values["redis.ttl_seconds"], "5");
        assert_eq!(values["server.allowed_origins"], "https://a,https://b");
    }

    #[test]
    fn every_unknown_key_is_named_with_its_neighbour() {
        let (_, problems) = read_text("[server]\nbnd = \"x\"\n[colours]\nsky = \"blue\"\n[redis.deep]\nurl = \"x\"");
        let found: Vec<_> = problems.iter().map(|problem| (problem.key.as_str(), problem.fix.as_str())).collect();
        assert!(found.contains(&("server.bnd", "did you mean server.bind?")));
        assert!(found.contains(&("colours.sky", "remove it; default.toml lists every key")));
        assert!(found.iter().any(|(key, _)| *key == "redis.deep"));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_value_of_the_wrong_form_is_named() {
        let (_, problems) = read_text("[redis]\nttl_seconds = \"5\"\n[server]\nbind = 8000\nallowed_origins = [1]");
        let mut keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["redis.ttl_seconds", "server.allowed_origins", "server.bind"]);
    }

    #[test]
    fn broken_toml_names_the_line_and_not_the_secret() {
        let (_, problems) = read_text("[auth]\njwt_secret = \"hunter2");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].problem.starts_with("line 2 "), "{}", problems[0]);
        assert!(!problems[0].to_string().contains("hunter2"));
    }

    #[test]
    fn a_missing_file_is_a_problem() {
        let mut problems = Vec::new();
        assert!(read(Path::new("/nowhere/apex.toml"), &mut problems).is_empty());
        assert_eq!(problems[0].key, "/nowhere/apex.toml");
    }
}
