//! Values that fit a schema of the document, with something hostile in a few places.

use proptest::collection::{hash_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::world::{FOREIGN, KNOWN};

/// How deep a schema that contains itself is followed.
const DEEPEST: u32 = 4;

/// The document of the API.
pub(super) struct Shapes<'a> {
    document: &'a Value,
}

/// One operation of the document.
#[derive(Clone, Debug)]
pub(super) struct Operation<'a> {
    pub method: String,
    pub path: &'a str,
    pub described: &'a Value,
}

impl<'a> Shapes<'a> {
    pub fn of(document: &'a Value) -> Self {
        Self { document }
    }

    pub fn all(&self) -> Vec<Operation<'a>> {
        let paths = self.document["paths"].as_object().into_iter().flatten();
        let operations = paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(move |(method, described)| Operation { method: method.to_uppercase(), path, described })
        });
        operations.filter(|operation| operation.described["responses"].is_object()).collect()
    }

    /// The names of all operations: `GET /api/v1/leads`.
    pub fn operations(&self) -> Vec<String> {
        self.all().iter().map(Operation::name).collect()
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let Some(pointer) = schema["$ref"].as_str().and_then(|text| text.strip_prefix('#')) else { return schema };
        self.document.pointer(pointer).unwrap_or(schema)
    }

    /// Values of a schema; `name` is the property or parameter that holds them.
    pub fn values(&self, name: &str, schema: &'a Value, depth: u32) -> BoxedStrategy<Value> {
        prop_oneof![30 => self.fitting(name, schema, depth), 1 => hostile()].boxed()
    }

    fn fitting(&self, name: &str, schema: &'a Value, depth: u32) -> BoxedStrategy<Value> {
        let schema = self.resolved(schema);
        if let Some(choices) = schema["enum"].as_array() {
            return select(choices.clone()).boxed();
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            if let Some(choices) = schema[key].as_array() {
                let strategies = choices.iter().map(|choice| self.fitting(name, choice, depth + 1));
                return proptest::strategy::Union::new(strategies).boxed();
            }
        }
        match kind(schema) {
            "object" if depth < DEEPEST => self.object(schema, depth),
            "array" if depth < DEEPEST => {
                vec(self.values(name, &schema["items"], depth + 1), 0..3).prop_map(Value::Array).boxed()
            }
            "integer" | "number" => numbers(schema),
            "boolean" => any::<bool>().prop_map(Value::Bool).boxed(),
            "string" => strings(name, schema["format"].as_str()).prop_map(Value::String).boxed(),
            "null" => Just(Value::Null).boxed(),
            "" => form(),
            _ => anything(),
        }
    }

    fn object(&self, schema: &'a Value, depth: u32) -> BoxedStrategy<Value> {
        let Some(properties) = schema["properties"].as_object() else { return anything() };
        let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name));
        let members: Vec<BoxedStrategy<Option<(String, Value)>>> = properties
            .iter()
            .map(|(name, schema)| {
                let likely = if required(name) { 0.98 } else { 0.4 };
                let name = name.clone();
                let member = self.values(&name, schema, depth + 1).prop_map(move |value| (name.clone(), value));
                option::weighted(likely, member).boxed()
            })
            .collect();
        let surplus = option::weighted(0.04, (nasty(), hostile()));
        let whole = (members, surplus).prop_map(|(members, surplus)| {
            Value::Object(members.into_iter().flatten().chain(surplus).collect::<Map<_, _>>())
        });
        whole.boxed()
    }
}

impl Operation<'_> {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The type that is not `null`.
fn kind(schema: &Value) -> &str {
    let of_several = || schema["type"].as_array()?.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
    schema["type"].as_str().or_else(of_several).unwrap_or_default()
}

fn numbers(schema: &Value) -> BoxedStrategy<Value> {
    let (least, most) = (schema["minimum"].as_i64().unwrap_or(0), schema["maximum"].as_i64().unwrap_or(100));
    let edges = [least, least - 1, most, most + 1, i64::MAX, i64::MIN, -1, 0];
    prop_oneof![6 => (least..=most).prop_map(Value::from), 1 => select(edges.to_vec()).prop_map(Value::from)].boxed()
}

/// Texts as the name of their place lets expect them, known things among them.
pub(super) fn strings(name: &str, format: Option<&str>) -> BoxedStrategy<String> {
    let likely: &[&str] = match (name, format) {
        ("project_id", _) => {
            &["@project", "@project", "@project", "@project", "@other_project", "new-project", "nobodys"]
        }
        ("project", _) => &["@project_uuid", "@project", "@other_project"],
        ("org", _) => &["@org", "@other_org"],
        ("lead_id", _) => &["@lead", "@lead", "@other_lead"],
        ("email", _) => &["owner@kereru.example", "new@kereru.example", "no address", "a@b", ""],
        ("password", _) => &["short", "", "short", "aaaaaaaaaaaaaaaa", "short", "correct horse battery", "short", ""],
        ("refresh_token", _) => &["@refresh", "apr_nonsense", ""],
        ("ticket", None) => &["@stream", "nonsense"],
        ("token", _) => &["@token", "@token", "wrong"],
        ("google_key", _) => &["@google_key", "@google_key", "wrong"],
        ("phone" | "to", _) => &["027 555 9001", "+64275559001", "12", "+999999999999999999"],
        ("cron", _) => &["30 8 * * 1-5", "*/5 * * * *", "99 * * * *", "* * * * * *", "0 0 31 2 *", "@daily"],
        ("timezone", _) => &["Pacific/Auckland", "UTC", "Mars/Olympus"],
        ("task", _) => {
            &["health_check", "sales_agent", "log_usage", "lead_gen_manager", "system_ops_manager", "onboarding"]
        }
        ("action", _) => &["instant_call", "notify_sms", "dashboard_stats", "run_diagnostics", "hunt_sniper"],
        ("missed", _) => &["skip", "once", "all", "never"],
        ("status" | "state", _) => &["new", "contacted", "completed", "failed", "intended", "unknown"],
        ("cursor" | "last_event_id" | "Last-Event-ID", _) => {
            &["0", "1", "3", "-1", "99999999999999999999", "e30", "nonsense"]
        }
        (_, Some("uuid")) => &[],
        (_, Some("date-time")) => &[
            "2026-01-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "-262143-01-01T00:00:00Z",
            "9999-12-31T23:59:60.999Z",
            "now",
        ],
        _ => &["Kererū", "plain", "1", "true", "2026-01-01"],
    };
    let mut likely: Vec<String> = likely.iter().map(|&text| text.to_owned()).collect();
    if matches!(format, Some("uuid")) || likely.is_empty() {
        likely.extend(KNOWN.iter().chain(&FOREIGN).map(|&name| name.to_owned()));
        likely.push("0198d9a0-0000-7000-8000-000000000001".to_owned());
    }
    prop_oneof![20 => select(likely), 1 => nasty()].boxed()
}

/// Texts that break what is careless with texts.
pub(super) fn nasty() -> BoxedStrategy<String> {
    let known = [
        "",
        " ",
        "\0",
        "a\0b",
        "\r\nx-evil: 1",
        "\u{feff}",
        "\u{202e}txet",
        "e\u{301}\u{301}\u{301}",
        "👩‍👩‍👧‍👦",
        "'; DROP TABLE leads; --",
        "%00",
        "%s%n",
        "{{7*7}}",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "NaN",
        "1e999",
        "-0",
        "null",
        "\u{7f}\u{80}\u{85}",
        "\\ud800",
        "\u{10ffff}",
        "\u{fffd}",
        "${jndi:ldap://x}",
        "https://apex.example@evil.example/",
        "İı",
        "ß",
        "0x7fffffffffffffff",
    ];
    let known: Vec<String> = known.iter().map(|&text| text.to_owned()).collect();
    let long = select(vec![65_usize, 255, 256, 300, 1_000, 20_000]).prop_map(|length| "x".repeat(length));
    let random = vec(any::<char>(), 0..12).prop_map(String::from_iter);
    prop_oneof![6 => select(known), 1 => long, 3 => random].boxed()
}

/// Any JSON.
fn hostile() -> BoxedStrategy<Value> {
    let numbers = [json!(u64::MAX), json!(i64::MIN), json!(1e308), json!(-0.0), json!(5e-324), json!(0.1), json!(1)];
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    let deep = [json!([]), json!({}), json!([[]]), nested(100), nested(130), json!({"": {"": null}})];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        select(numbers.to_vec()),
        nasty().prop_map(Value::String),
        select(deep.to_vec()),
    ]
    .boxed()
}

/// A form as Google Ads sends it, or any object.
fn form() -> BoxedStrategy<Value> {
    let column = |id: &'static str, values: BoxedStrategy<String>| {
        values.prop_map(move |value| json!({ "column_id": id, "string_value": value })).boxed()
    };
    let columns = vec(
        prop_oneof![
            column("FULL_NAME", nasty()),
            column("PHONE_NUMBER", strings("phone", None)),
            column("EMAIL", strings("email", None)),
            hostile(),
        ],
        0..5,
    );
    let whole = (strings("google_key", None), nasty(), columns, anything(), any::<bool>());
    let whole = whole.prop_map(|(key, id, columns, mut more, is_test)| {
        for (name, value) in
            [("google_key", json!(key)), ("user_column_data", json!(columns)), ("is_test", json!(is_test))]
        {
            more[name] = value;
        }
        if !id.is_empty() {
            more["lead_id"] = json!(id);
        }
        more
    });
    prop_oneof![3 => whole, 1 => anything()].boxed()
}

/// Any JSON object, such as settings that nobody described.
fn anything() -> BoxedStrategy<Value> {
    let names = [
        "identity", "modules", "lead_gen", "region", "timezone", "action", "text", "lead_id", "resource", "quantity",
        "a",
    ];
    let name = prop_oneof![8 => select(names.to_vec()).prop_map(str::to_owned), 1 => nasty()];
    let texts =
        ["NZ", "notify_sms", "instant_call", "@lead", "calls", "Pacific/Auckland", "2.5"].map(|text| json!(text));
    let leaf = prop_oneof![2 => select(texts.to_vec()), 1 => hostile(), 1 => any::<i32>().prop_map(Value::from)];
    let object = |value: BoxedStrategy<Value>| {
        let name = name.clone();
        hash_map(name, value, 0..4).prop_map(|members| Value::Object(members.into_iter().collect()))
    };
    let inner =
        prop_oneof![2 => leaf.clone(), 1 => object(leaf.clone().boxed()), 1 => vec(leaf, 0..3).prop_map(Value::Array)];
    object(inner.boxed()).boxed()
}
