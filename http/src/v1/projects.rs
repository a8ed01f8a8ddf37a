//! Projects: the client businesses of an organisation.

mod actors;
mod create;
mod delete;
mod list;
mod patch;
mod show;

use apex_storage::{IdentityTx, Project, Route};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::auth::token::new_secret;
use crate::error::ApiError;
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create::create_project, list::list_projects))
        .routes(routes!(show::show_project, patch::patch_project, delete::delete_project))
        .routes(routes!(actors::project_actors))
}

/// A client business.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectBody {
    /// The name its owner chose; paths and other bodies use it.
    project_id: String,
    /// Its number inside.
    id: Uuid,
    business_name: String,
    webhooks: Webhooks,
    /// Grows with every change; the `ETag`.
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Goes into the URL of a website's form. Shown only when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    webhook_token: Option<String>,
    /// Goes into the body of a Google Ads lead. Shown only when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    google_key: Option<String>,
}

/// Where leads and calls of the project are sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Webhooks {
    google_ads: String,
    /// Holds the token while it is shown, else `{webhook_token}` to be filled in.
    wordpress: String,
    voice_incoming: String,
}

/// One of the two secrets of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecretKind {
    Google,
    WordPress,
}

impl SecretKind {
    const fn route(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::WordPress => "wordpress",
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Google => "gk_",
            Self::WordPress => "wh_",
        }
    }

    /// A new one: what is shown once, and what is kept.
    fn make(self) -> (SecretString, [u8; 32]) {
        new_secret(self.prefix())
    }
}

/// Secrets that were just made.
#[derive(Debug, Default)]
struct Secrets {
    webhook_token: Option<SecretString>,
    google_key: Option<SecretString>,
}

impl Secrets {
    fn put(&mut self, kind: SecretKind, secret: SecretString) {
        match kind {
            SecretKind::Google => self.google_key = Some(secret),
            SecretKind::WordPress => self.webhook_token = Some(secret),
        }
    }
}

/// What leads to a project from outside: its name, and the two secrets under that name.
async fn add_routes(tx: &mut IdentityTx, slug: &str, route: &Route) -> Result<Secrets, ApiError> {
    tx.add_route("slug", slug, &Route { secret_hash: None, ..route.clone() }).await?;
    let mut secrets = Secrets::default();
    for kind in [SecretKind::Google, SecretKind::WordPress] {
        let (secret, hash) = kind.make();
        tx.add_route(kind.route(), slug, &Route { secret_hash: Some(hash.to_vec()), ..route.clone() }).await?;
        secrets.put(kind, secret);
    }
    Ok(secrets)
}

impl ProjectBody {
    fn of(project: Project, public_url: &str, secrets: Secrets) -> Self {
        let shown = |secret: Option<SecretString>| secret.map(|secret| secret.expose_secret().to_owned());
        let (webhook_token, google_key) = (shown(secrets.webhook_token), shown(secrets.google_key));
        let webhooks = Webhooks::of(public_url, &project.slug, webhook_token.as_deref());
        Self {
            project_id: project.slug,
            id: project.id.0,
            business_name: project.business_name,
            webhooks,
            version: project.version,
            created_at: project.created_at,
            updated_at: project.updated_at,
            webhook_token,
            google_key,
        }
    }
}

impl Webhooks {
    fn of(public_url: &str, slug: &str, token: Option<&str>) -> Self {
        let token = token.unwrap_or("{webhook_token}");
        Self {
            google_ads: format!("{public_url}/api/v1/webhooks/google-ads?project_id={slug}"),
            wordpress: format!("{public_url}/api/v1/webhooks/wordpress?project_id={slug}&token={token}"),
            voice_incoming: format!("{public_url}/api/v1/voice/incoming?project_id={slug}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use apex_storage::model::{OrgId, ProjectId};

    use super::*;

    #[test]
    fn secrets_are_shown_only_when_they_are_made() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let project = Project {
            id: ProjectId::new(),
            org_id: OrgId::new(),
            slug: "kereru".into(),
            business_name: "Kererū".into(),
            dna_generated: serde_json::json!({}),
            dna_custom: serde_json::json!({}),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let mut secrets = Secrets::default();
        for kind in [SecretKind::Google, SecretKind::WordPress] {
            secrets.put(kind, kind.make().0);
        }
        let made = ProjectBody::of(project.clone(), "https://a.example", secrets);
        assert!(made.google_key.as_deref().is_some_and(|key| key.starts_with("gk_") && key.len() == 46));
        let token = made.webhook_token.unwrap();
        assert!(made.webhooks.wordpress.ends_with(&format!("project_id=kereru&token={token}")));
        let later = serde_json::to_value(ProjectBody::of(project, "https://a.example", Secrets::default())).unwrap();
        assert!(later.get("google_key").is_none() && later.get("webhook_token").is_none());
        assert_eq!(later["webhooks"]["google_ads"], "https://a.example/api/v1/webhooks/google-ads?project_id=kereru");
    }
}
