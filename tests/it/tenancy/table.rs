//! Every operation of the API and who may have an answer to it.

use serde_json::{Value, json};

/// Who gets what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wall {
    /// The same for everybody: nobody needs to be known, and nothing of a tenant is in the answer.
    Public,
    /// Somebody signed in; everybody gets their own.
    Own,
    /// Names something of A's: nobody gets 401, B gets 404, A gets it.
    Tenant,
    /// Opened by the project's own secret alone, whoever is signed in.
    Secret,
    /// Opened by the telephone provider's signature alone, whoever is signed in.
    Signature,
}

/// One operation, called so that it names what belongs to A.
pub(super) struct Entry {
    /// As the document writes it, without the prefix of the version.
    pub operation: &'static str,
    pub wall: Wall,
    pub query: &'static str,
    pub body: Option<fn() -> Value>,
    /// What A gets; others are told by the wall.
    pub owner: u16,
}

const fn entry(operation: &'static str, wall: Wall, owner: u16) -> Entry {
    Entry { operation, wall, query: "", body: None, owner }
}

impl Entry {
    const fn query(mut self, query: &'static str) -> Self {
        self.query = query;
        self
    }

    const fn body(mut self, body: fn() -> Value) -> Self {
        self.body = Some(body);
        self
    }
}

fn nonsense() -> Value {
    json!({"refresh_token": "apr_nonsense"})
}

fn sign_in() -> Value {
    json!({"email": "nobody@nowhere.example", "password": "not the password"})
}

fn lead() -> Value {
    json!({"project_id": "canary", "name": "Hēmi", "phone": "+64275559055"})
}

fn rename() -> Value {
    json!({"name": "Hēmi"})
}

fn nothing_of_the_project() -> Value {
    json!({"project_id": "canary", "code": "no such code"})
}

fn effects_of_the_project() -> Value {
    json!({"project_id": "canary"})
}

fn schedule() -> Value {
    json!({"project_id": "canary", "name": "At night", "cron": "0 3 * * *", "task": "sales_agent",
           "params": {"action": "notify_sms", "text": "Kia ora"}})
}

/// Every operation, those that delete at the end.
pub(super) const TABLE: &[Entry] = &[
    entry("GET /", Wall::Public, 200),
    entry("GET /health", Wall::Public, 200),
    entry("GET /health/ready", Wall::Public, 200),
    entry("POST /auth/register", Wall::Public, 422).body(|| json!({"email": "nobody", "password": "not the password"})),
    entry("POST /auth/login", Wall::Public, 401).body(sign_in),
    entry("POST /auth/refresh", Wall::Public, 401).body(nonsense),
    entry("POST /auth/logout", Wall::Public, 204).body(nonsense),
    entry("POST /auth/stream-ticket", Wall::Own, 200),
    entry("GET /users/me", Wall::Own, 200),
    entry("GET /api-keys", Wall::Own, 200),
    entry("POST /api-keys", Wall::Own, 201).body(|| json!({"name": "CRM"})),
    entry("GET /audit", Wall::Own, 200),
    entry("GET /projects", Wall::Own, 200),
    entry("POST /projects", Wall::Own, 409).body(|| json!({"project_id": "canary", "business_name": "Tūī Roofing"})),
    entry("GET /projects/{project_id}", Wall::Tenant, 200),
    entry("GET /projects/{project_id}/actors", Wall::Tenant, 200),
    entry("GET /projects/{project_id}/dna", Wall::Tenant, 200),
    entry("PUT /projects/{project_id}/dna", Wall::Tenant, 200).body(|| json!({"identity": {"region": "NZ"}})),
    entry("PATCH /projects/{project_id}", Wall::Tenant, 200).body(|| json!({"rotate": ["webhook_token"]})),
    entry("POST /run", Wall::Tenant, 200)
        .body(|| json!({"task": "lead_gen_manager", "project_id": "canary", "params": {"action": "dashboard_stats"}})),
    entry("GET /usage", Wall::Tenant, 200).query("project_id=canary"),
    entry("GET /context/{id}", Wall::Tenant, 200),
    entry("GET /context/{id}/events", Wall::Tenant, 200),
    entry("POST /context/{id}/cancel", Wall::Tenant, 409),
    entry("GET /tickets", Wall::Tenant, 200).query("project_id=canary"),
    entry("GET /tickets/{id}", Wall::Tenant, 200),
    entry("GET /tickets/{id}/timeline", Wall::Tenant, 200),
    entry("POST /tickets/{id}/retry", Wall::Tenant, 409), // it is completed
    entry("POST /tickets/{id}/replay", Wall::Tenant, 200),
    entry("GET /dead-letters", Wall::Tenant, 200).query("project_id=canary"),
    entry("GET /dead-letters/{id}", Wall::Tenant, 200),
    entry("POST /dead-letters/replay", Wall::Tenant, 200).body(nothing_of_the_project),
    entry("POST /dead-letters/{id}/replay", Wall::Tenant, 202),
    entry("GET /schedules", Wall::Tenant, 200).query("project_id=canary"),
    entry("POST /schedules", Wall::Tenant, 201).body(schedule),
    entry("GET /schedules/{id}", Wall::Tenant, 200),
    entry("PATCH /schedules/{id}", Wall::Tenant, 200).body(|| json!({"enabled": true})),
    entry("GET /effects", Wall::Tenant, 200).query("project_id=canary"),
    entry("GET /effects/{id}", Wall::Tenant, 200),
    entry("POST /effects/release", Wall::Tenant, 200).body(effects_of_the_project),
    entry("POST /effects/cancel", Wall::Tenant, 200).body(effects_of_the_project),
    entry("GET /leads", Wall::Tenant, 200).query("project_id=canary"),
    entry("POST /leads", Wall::Tenant, 201).body(lead),
    entry("GET /leads/{id}", Wall::Tenant, 200),
    entry("PATCH /leads/{id}", Wall::Tenant, 200).body(rename),
    entry("PUT /leads/{id}", Wall::Tenant, 200).body(rename),
    entry("GET /recordings/{id}", Wall::Tenant, 200),
    entry("POST /webhooks/google-ads", Wall::Secret, 403)
        .query("project_id=canary")
        .body(|| json!({"lead_id": "lead-x", "google_key": "not the key", "user_column_data": []})),
    entry("POST /webhooks/wordpress", Wall::Secret, 403).query("project_id=canary&token=no").body(lead),
    entry("POST /voice/incoming", Wall::Signature, 403),
    entry("POST /voice/whisper", Wall::Signature, 403),
    entry("POST /voice/connect", Wall::Signature, 403),
    entry("POST /voice/after", Wall::Signature, 403),
    entry("POST /voice/status", Wall::Signature, 403),
    entry("POST /voice/leg", Wall::Signature, 403),
    entry("POST /voice/amd", Wall::Signature, 403),
    entry("POST /voice/recording-status", Wall::Signature, 403),
    entry("POST /voice/transcription", Wall::Signature, 403),
    entry("POST /sms/incoming", Wall::Signature, 403),
    entry("POST /sms/status", Wall::Signature, 403),
    entry("DELETE /api-keys/{id}", Wall::Tenant, 204),
    entry("DELETE /schedules/{id}", Wall::Tenant, 204),
    entry("DELETE /leads/{id}", Wall::Tenant, 409), // it was called
    entry("DELETE /projects/{project_id}", Wall::Tenant, 204),
];
