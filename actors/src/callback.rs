//! Addresses that a provider calls back. They name what they are about, so that an answer needs no memory, and they are
//! covered by the provider's signature, so that nobody can change them.

use apex_storage::model::{BridgeId, EffectId, OrgId, ProjectId, TicketId};
use serde::{Deserialize, Serialize};

/// What a callback is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackRef {
    /// The tenant.
    pub org: OrgId,
    /// Its project.
    pub project: ProjectId,
    /// The ticket that waits for it.
    pub ticket: TicketId,
    /// The bridge, for calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<BridgeId>,
    /// The call or message.
    pub effect: EffectId,
}

impl CallbackRef {
    /// The address of one kind of callback: `kind` is a path such as `voice/status`.
    pub fn url(&self, public_url: &str, kind: &str) -> String {
        let bridge = self.bridge.map(|bridge| format!("&bridge={bridge}")).unwrap_or_default();
        format!(
            "{}/api/{kind}?org={}&project={}&ticket={}{bridge}&effect={}",
            public_url.trim_end_matches('/'),
            self.org,
            self.project,
            self.ticket,
            self.effect
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_all_that_its_answer_needs() {
        let about = CallbackRef {
            org: OrgId::new(),
            project: ProjectId::new(),
            ticket: TicketId::new(),
            bridge: Some(BridgeId::new()),
            effect: EffectId::new(),
        };
        let url = about.url("https://hooks.example/", "voice/status");
        assert!(url.starts_with("https://hooks.example/api/voice/status?org="));
        for id in [about.org.to_string(), about.ticket.to_string(), about.effect.to_string()] {
            assert!(url.contains(&id));
        }
    }
}
