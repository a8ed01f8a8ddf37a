//! Every table and who may see it. Start compares this list with the database in both directions.

/// Who a table belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableClass {
    /// Rows of a tenant: `org_id`, forced row security, seen through a tenant's transaction only.
    Tenant,
    /// Who people are and where routes lead: a closed list of queries under its own role.
    Identity,
    /// Nodes and placement: no request sees them.
    System,
}

/// One table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name in the schema.
    pub name: &'static str,
    /// Who it belongs to.
    pub class: TableClass,
}

const fn table(name: &'static str, class: TableClass) -> Table {
    Table { name, class }
}

/// Every table there is.
pub const TABLES: &[Table] = &[
    table("node", TableClass::System),
    table("placement", TableClass::System),
    table("organizations", TableClass::Identity),
    table("users", TableClass::Identity),
    table("memberships", TableClass::Identity),
    table("sessions", TableClass::Identity),
    table("project_routes", TableClass::Identity),
    table("api_keys", TableClass::Identity),
    table("projects", TableClass::Tenant),
    table("idempotency_keys", TableClass::Tenant),
    table("parked_actors", TableClass::Tenant),
    table("contacts", TableClass::Tenant),
    table("leads", TableClass::Tenant),
    table("lead_keys", TableClass::Tenant),
    table("tickets", TableClass::Tenant),
    table("ticket_events", TableClass::Tenant),
    table("events", TableClass::Tenant),
    table("bridges", TableClass::Tenant),
    table("effects", TableClass::Tenant),
    table("call_inbox", TableClass::Tenant),
    table("usage_ledger", TableClass::Tenant),
    table("dead_letters", TableClass::Tenant),
    table("schedules", TableClass::Tenant),
    table("audit_log", TableClass::Tenant),
];
