//! What a decision looked at, written beside what it led to: a dry replay decides again from the same.

use std::collections::BTreeMap;

use apex_storage::model::{EffectId, InboxId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Everything a decision looked at that no other row tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Basis {
    /// The time of the decision.
    pub at: DateTime<Utc>,
    /// The reports that no earlier decision had heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<InboxId>,
    /// Whether somebody had asked for the end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cancelled: bool,
    /// Whether no effect may leave without a person.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hold: bool,
    /// When the ticket had to be begun, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DateTime<Utc>>,
    /// Verdicts of people on effects that had not left.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub verdicts: BTreeMap<EffectId, String>,
    /// What was put off, and until when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waits: BTreeMap<String, DateTime<Utc>>,
    /// Unclear effects that were looked for; `true`: the provider certainly had nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub looked: BTreeMap<EffectId, bool>,
    /// Looks at a silent call in a row that brought nothing new.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u32,
    /// The deciding node, where it matters who sent something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
