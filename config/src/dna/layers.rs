//! Layers: what stands in none, and how one is laid over another.

use serde_json::{Map, Value, json};

use super::DnaProblem;

/// What the boss hears unless the project says otherwise.
pub(super) const WHISPER_TEXT: &str = "Apex Alert. New high-value lead on the line. Press 1 to connect.";
/// What the boss reads unless the project says otherwise.
pub(super) const SMS_ALERT_TEMPLATE: &str = "🔥 HOT LEAD: [Source] - [Name]";

/// The lowest layer: what a project gets that writes nothing.
pub fn defaults() -> Value {
    json!({
        "identity": { "region": "NZ", "timezone": "Pacific/Auckland", "language": "en-NZ" },
        "modules": {
            "lead_gen": {
                "enabled": true,
                "sales_bridge": {
                    "whisper_text": WHISPER_TEXT,
                    "sms_alert_template": SMS_ALERT_TEMPLATE,
                    "record": true,
                },
                "sniper": { "enabled": false },
            },
            "local_seo": { "enabled": false },
            "system_ops": {
                "enabled": true,
                "health_check": { "disk_space_threshold_gb": 1.0 },
                "billing": { "default_project_limit_usd": 50.0 },
            },
        },
    })
}

/// Lays layers over each other, lowest first: mappings are merged key by key, everything else is replaced, and null
/// takes the key back, so that nothing is said about it. `modules.pseo` is merged as `modules.local_seo`.
pub fn merge(layers: &[&Value]) -> Value {
    layers.iter().fold(Value::Object(Map::new()), |below, layer| lay_over(below, &one_name(layer)))
}

fn lay_over(below: Value, above: &Value) -> Value {
    let Value::Object(above) = above else { return above.clone() };
    let mut merged = match below {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    for (key, value) in above {
        let old = merged.remove(key);
        if !value.is_null() {
            merged.insert(key.clone(), lay_over(old.unwrap_or_default(), value));
        }
    }
    Value::Object(merged)
}

/// The layer with `pseo` under its other name; what stands under both names is won by `local_seo`.
fn one_name(layer: &Value) -> Value {
    let mut layer = layer.clone();
    let modules = layer.get_mut("modules").and_then(Value::as_object_mut);
    if let Some(modules) = modules
        && let Some(pseo) = modules.remove("pseo")
    {
        let seo = match modules.remove("local_seo") {
            Some(local_seo) => lay_over(pseo, &local_seo),
            None => pseo,
        };
        modules.insert("local_seo".to_owned(), seo);
    }
    layer
}

/// Layers that use both names of one module.
pub(super) fn doubled_names(layers: &[&Value]) -> Vec<DnaProblem> {
    let uses_both = |layer: &&&Value| layer.pointer("/modules/pseo").and(layer.pointer("/modules/local_seo")).is_some();
    layers
        .iter()
        .filter(uses_both)
        .map(|_| DnaProblem {
            key: "modules.pseo".into(),
            problem: "is the same module as local_seo, and both are given".into(),
            fix: "move its keys to modules.local_seo".into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mappings_merge_and_lists_are_replaced() {
        let below = json!({"a": {"x": 1, "y": [1, 2]}, "b": 1});
        let above = json!({"a": {"y": [3], "z": {"deep": true}}, "b": {"c": 2}});
        assert_eq!(merge(&[&below, &above]), json!({"a": {"x": 1, "y": [3], "z": {"deep": true}}, "b": {"c": 2}}));
    }

    #[test]
    fn null_takes_a_key_back() {
        let merged =
            merge(&[&json!({"a": 1, "b": {"c": 1, "d": 2}}), &json!({"a": null, "b": {"c": null}, "e": null})]);
        assert_eq!(merged, json!({"b": {"d": 2}}));
    }

    #[test]
    fn a_key_taken_back_can_be_given_again() {
        assert_eq!(merge(&[&json!({"a": 1}), &json!({"a": null}), &json!({"a": 2})]), json!({"a": 2}));
    }

    fn layer() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
        let inner = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::btree_map("[a-c]", inner.clone(), 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
                proptest::collection::vec(inner, 0..3).prop_map(Value::from),
            ]
        });
        proptest::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn laying_the_same_layer_twice_changes_nothing(below in layer(), above in layer()) {
            prop_assert_eq!(merge(&[&below, &above, &above]), merge(&[&below, &above]));
        }

        #[test]
        fn an_empty_layer_changes_nothing(below in layer(), above in layer()) {
            prop_assert_eq!(merge(&[&below, &json!({}), &above]), merge(&[&below, &above]));
        }
    }
}
