//! What a request changed, told in the transaction of the change. An entry names things by their ids and tells which fields were
//! changed; what people wrote into them it does not hold.

use apex_storage::{ActorKind, AuditEntry, TenantTx};
use serde_json::Value;
use uuid::Uuid;

use crate::access::Caller;
use crate::error::ApiError;
use crate::observe::{Origin, origin};

/// One change to tell.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    action: &'static str,
    /// Its kind and its id.
    resource: (&'static str, Uuid),
    before: Option<Value>,
    after: Option<Value>,
}

impl Change {
    /// A change of one thing: `lead.update`, `lead`, its id.
    pub fn new(action: &'static str, kind: &'static str, id: Uuid) -> Self {
        Self { action, resource: (kind, id), before: None, after: None }
    }

    /// What was changed, as it was.
    pub fn before(self, before: Value) -> Self {
        Self { before: Some(before), ..self }
    }

    /// What was changed, as it is.
    pub fn after(self, after: Value) -> Self {
        Self { after: Some(after), ..self }
    }

    /// Writes it down; it becomes true with the transaction.
    ///
    /// # Errors
    ///
    /// When it cannot be written: then the change must not be made either.
    pub async fn tell(self, tx: &mut TenantTx, caller: &Caller) -> Result<(), ApiError> {
        let Origin { trace, address, agent } = origin();
        let (actor_kind, actor) = match caller.key {
            Some(key) => (ActorKind::ApiKey, key.id.to_string()),
            None => (ActorKind::User, caller.user.to_string()),
        };
        let (ip, resource_id) = (address.map(|address| address.to_string()), self.resource.1.to_string());
        let entry = AuditEntry {
            actor: &actor,
            actor_kind,
            ip: ip.as_deref(),
            user_agent: agent.as_deref(),
            action: self.action,
            resource_kind: self.resource.0,
            resource_id: &resource_id,
            before: self.before.as_ref(),
            after: self.after.as_ref(),
            trace_id: Some(&trace),
        };
        Ok(tx.audit(&entry).await?)
    }
}

/// The names of those fields that were changed.
pub(crate) fn changed<const N: usize>(fields: [(&'static str, bool); N]) -> Vec<&'static str> {
    fields.into_iter().filter(|(_, is_changed)| *is_changed).map(|(name, _)| name).collect()
}
