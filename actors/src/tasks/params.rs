//! The parameters of tasks, and what is wrong with them.

use apex_config::prices::micros_from_decimal;
use apex_storage::model::LeadId;
use serde_json::Value;

use super::TaskSpec;
use crate::error::Refusal;

/// Longest text that is taken, in characters.
const MAX_TEXT: usize = 1000;

/// One parameter of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its key in `params`.
    pub name: &'static str,
    /// What it may be.
    pub kind: ParamKind,
    /// Whether the task cannot do without it.
    pub is_required: bool,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    /// The id of a lead.
    LeadId,
    /// A text that is not empty.
    Text,
    /// A number above zero with at most three decimals.
    Quantity,
}

impl ParamKind {
    const fn wanted(self) -> &'static str {
        match self {
            Self::LeadId => "must be the id of a lead (a UUID)",
            Self::Text => "must be a text of 1 to 1000 characters",
            Self::Quantity => "must be a number above zero with at most three decimals",
        }
    }

    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::LeadId => value.as_str().is_some_and(|text| text.parse::<LeadId>().is_ok()),
            Self::Text => {
                value.as_str().is_some_and(|text| !text.trim().is_empty() && text.chars().count() <= MAX_TEXT)
            }
            Self::Quantity => milli(value).is_some_and(|milli| milli > 0),
        }
    }
}

/// Whether the parameters are those of the task. Keys that the task does not know are left alone: an actor ignores them.
///
/// # Errors
///
/// `missing_param` or `invalid_param`, naming the parameter.
pub fn check_params(spec: &TaskSpec, params: &Value) -> Result<(), Refusal> {
    if !params.is_object() && !params.is_null() {
        return Err(Refusal::about("invalid_param", "params", "must be an object"));
    }
    for param in spec.params {
        let field = format!("params.{}", param.name);
        match params.get(param.name).filter(|value| !value.is_null()) {
            Some(value) if !param.kind.accepts(value) => {
                return Err(Refusal::about("invalid_param", &field, param.kind.wanted()));
            }
            None if param.is_required => {
                return Err(Refusal::about("missing_param", &field, param.kind.wanted()));
            }
            Some(_) | None => {}
        }
    }
    if spec.action == Some("notify_sms") && params["lead_id"].is_null() && params["text"].is_null() {
        return Err(Refusal::about("missing_param", "params.lead_id", "name a lead, or give a text"));
    }
    Ok(())
}

/// A JSON number, or a text that is one, in thousandths. `None`: it is no number or has more than three decimals.
pub(super) fn milli(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let micros = micros_from_decimal(&text)?;
    (micros % 1000 == 0).then_some(micros / 1000)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::find;
    use super::*;

    #[test]
    fn quantities_are_read_exactly() {
        for (value, expected) in [
            (json!(2), Some(2_000)),
            (json!(1.5), Some(1_500)),
            (json!("0.001"), Some(1)),
            (json!(1500.0), Some(1_500_000)),
            (json!(0.0005), None),
            (json!("a few"), None),
            (json!(true), None),
            (json!(1e300), None),
        ] {
            assert_eq!(milli(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let refused = |task, action, params: Value| {
            let refusal = check_params(find(task, action).unwrap(), &params).unwrap_err();
            (refusal.code, refusal.field.unwrap())
        };
        let missing = |field: &str| ("missing_param", field.to_owned());
        let invalid = |field: &str| ("invalid_param", field.to_owned());
        assert_eq!(refused("sales_agent", None, json!({})), missing("params.lead_id"));
        assert_eq!(refused("sales_agent", None, json!({ "lead_id": 7 })), invalid("params.lead_id"));
        assert_eq!(refused("sales_agent", Some("notify_sms"), json!({})), missing("params.lead_id"));
        assert_eq!(refused("sales_agent", Some("notify_sms"), json!({ "text": " " })), invalid("params.text"));
        assert_eq!(refused("log_usage", None, json!({ "resource": "fax" })), missing("params.quantity"));
        let zero = json!({ "resource": "twilio_sms", "quantity": 0 });
        assert_eq!(refused("log_usage", None, zero), invalid("params.quantity"));
        assert_eq!(refused("health_check", None, json!([])), invalid("params"));
    }

    #[test]
    fn what_a_task_does_not_know_is_left_alone() {
        let params = json!({ "lead_id": uuid::Uuid::now_v7(), "action": "instant_call", "note": "hot" });
        assert_eq!(check_params(find("sales_agent", Some("instant_call")).unwrap(), &params), Ok(()));
        assert_eq!(check_params(find("health_check", None).unwrap(), &Value::Null), Ok(()));
    }
}
