//! Layers as text: YAML and JSON in, YAML out. What comes in is a stranger's: size, depth and aliases are bounded.

use serde_json::Value;

use super::DnaProblem;

/// The largest layer in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// The deepest nesting of mappings and lists.
pub const MAX_DEPTH: usize = 32;
/// The most values, also after aliases are put in.
const MAX_NODES: usize = 20_000;

/// How a layer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2; a phone number or a country code without quotes stays text where YAML allows it.
    Yaml,
    /// JSON.
    Json,
}

/// Reads one layer.
///
/// # Errors
///
/// One problem: too large, too deep, not in the format (with line and column), or not a mapping.
pub fn parse(text: &str, format: Format) -> Result<Value, Vec<DnaProblem>> {
    if text.len() > MAX_BYTES {
        let problem = format!("is larger than {MAX_BYTES} bytes");
        return Err(whole(problem, "shorten it"));
    }
    let value = match format {
        Format::Yaml => from_yaml(text),
        Format::Json => serde_json::from_str(text)
            .map_err(|error| whole(format!("is not JSON: {error}"), "correct the text at this place")),
    }?;
    if !value.is_object() {
        return Err(whole("is not a mapping of keys to values", "begin with a key such as identity:, or write {}"));
    }
    if depth_exceeds(&value, MAX_DEPTH) {
        return Err(whole(format!("is nested deeper than {MAX_DEPTH} levels"), "flatten it"));
    }
    Ok(value)
}

/// Writes a layer as YAML that reads back as the same layer.
pub fn to_yaml(value: &Value) -> String {
    // JSON is YAML: should the writer ever fail, the layer is still shown.
    serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string())
}

fn from_yaml(text: &str) -> Result<Value, Vec<DnaProblem>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH + 1,
            flow_nesting_limit: MAX_DEPTH + 1,
            max_nodes: MAX_NODES,
            max_events: 3 * MAX_NODES,
            max_aliases: 100,
            max_anchors: 100,
            max_recorded_anchor_events: MAX_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_NODES,
            max_replay_stack_depth: 8,
        },
        // NO is Norway and 021 is the beginning of a phone number, not a truth and an octal number.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|at| format!(" at line {} column {}", at.line(), at.column()));
        let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
        let place = place.filter(|_| !message.contains("line ")).unwrap_or_default();
        whole(format!("is not YAML: {message}{place}"), "correct the text at this place")
    })
}

fn whole(problem: impl Into<String>, fix: &str) -> Vec<DnaProblem> {
    vec![DnaProblem { key: String::new(), problem: problem.into(), fix: fix.to_owned() }]
}

fn depth_exceeds(value: &Value, most: usize) -> bool {
    let exceeds = |inner: &Value| most == 0 || depth_exceeds(inner, most - 1);
    match value {
        Value::Object(map) => most == 0 || map.values().any(exceeds),
        Value::Array(items) => most == 0 || items.iter().any(exceeds),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use serde_json::json;

    use super::*;

    fn problem(text: &str, format: Format) -> String {
        let problems = parse(text, format).unwrap_err();
        assert_eq!(problems.len(), 1);
        problems[0].problem.clone()
    }

    #[test]
    fn both_formats_give_the_same_layer() {
        let yaml = parse("a:\n  b: [1, two]\n", Format::Yaml).unwrap();
        assert_eq!(yaml, parse(r#"{"a":{"b":[1,"two"]}}"#, Format::Json).unwrap());
    }

    #[test]
    fn a_broken_text_names_its_line_and_column() {
        let yaml = problem("a: 1\nb: [1, 2\nc: 3\n", Format::Yaml);
        assert!(yaml.contains("line ") && yaml.contains("column "), "{yaml}");
        assert!(!yaml.contains('\n'), "{yaml}");
        let json = problem("{\n  \"a\": ,\n}", Format::Json);
        assert!(json.contains("line 2 column 8"), "{json}");
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        for text in ["", "- a\n- b\n", "text", "null"] {
            assert!(problem(text, Format::Yaml).contains("mapping"), "{text}");
        }
        assert!(problem("[1]", Format::Json).contains("mapping"));
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        assert!(parse("a: 1\na: 2\n", Format::Yaml).is_err());
    }

    #[test]
    fn too_large_and_too_deep_are_refused() {
        assert!(problem(&"#".repeat(MAX_BYTES + 1), Format::Yaml).contains("larger"));
        let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for format in [Format::Json, Format::Yaml] {
            assert!(parse(&nested(MAX_DEPTH), format).is_ok(), "{format:?}");
            assert!(parse(&nested(MAX_DEPTH + 1), format).is_err(), "{format:?}");
            assert!(parse(&nested(20_000), format).is_err(), "{format:?}");
        }
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let below = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(bomb, "a{level}: &a{level} [{below}]").unwrap();
        }
        assert!(parse(&bomb, Format::Yaml).is_err());
    }

    #[test]
    fn a_few_aliases_are_fine() {
        let value = parse("a: &x [1, 2]\nb: *x\n", Format::Yaml).unwrap();
        assert_eq!(value, json!({"a": [1, 2], "b": [1, 2]}));
    }

    #[test]
    fn country_codes_and_national_numbers_stay_text() {
        let value = parse("region: NO\nphone: 0211234567\nenabled: true\n", Format::Yaml).unwrap();
        assert_eq!(value, json!({"region": "NO", "phone": "0211234567", "enabled": true}));
    }

    #[test]
    fn what_is_written_reads_back() {
        let value = json!({
            "identity": {"region": "NO", "phone": "+6421000000", "local": "0211234567", "empty": "", "none": "null"},
            "list": ["yes", "1e3", "a: b", "- c", "#d", "line\nbreak", "🔥 [Name]"],
            "number": 50.0, "whole": 3, "flag": true, "map": {}, "nothing": [],
        });
        assert_eq!(parse(&to_yaml(&value), Format::Yaml).unwrap(), value);
    }
}
