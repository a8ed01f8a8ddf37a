//! Every id is its own type. All are UUIDs of version 7: they sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident,)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, later than all before it.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "each call makes another one")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// An organisation: the tenant.
    OrgId,
    /// A person who signs in.
    UserId,
    /// One client business of an organisation.
    ProjectId,
    /// Somebody who asked for service.
    LeadId,
    /// A person behind one or more leads.
    ContactId,
    /// A task's durable mailbox: the context id of the outside contract.
    TicketId,
    /// A lead's series of call attempts.
    BridgeId,
    /// One thing that leaves the house: a call, a message.
    EffectId,
    /// One received callback.
    InboxId,
    /// One business event.
    EventId,
    /// One time that a ticket was set aside.
    DeadLetterId,
    /// One task that runs by itself.
    ScheduleId,
    /// One line of the usage ledger.
    UsageId,
    /// One refresh token.
    SessionId,
    /// One key of a program.
    ApiKeyId,
    /// One entry of the audit log.
    AuditId,
}
