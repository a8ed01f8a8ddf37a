//! Users, sessions and projects.

use serde_json::{Value, json};

use super::{Answer, Client, text};

/// The password of every registered test user.
pub const PASSWORD: &str = "correct horse battery staple";

/// A login.
#[derive(Clone, Debug)]
pub struct Session {
    /// The bearer of requests.
    pub access_token: String,
    /// Buys a new one, once.
    pub refresh_token: String,
    /// The whole answer: user, organisation, life time.
    pub body: Value,
}

/// A client business and the secrets of its forms.
#[derive(Clone, Debug)]
pub struct Project {
    /// The name its owner chose.
    pub id: String,
    /// Goes into the URL of a form on a website.
    pub webhook_token: String,
    /// Goes into the body of a Google Ads lead.
    pub google_key: String,
    /// The whole answer.
    pub body: Value,
}

impl Session {
    fn read(body: Value) -> Self {
        Self { access_token: text(&body, "access_token"), refresh_token: text(&body, "refresh_token"), body }
    }
}

impl Client {
    /// Registers a user with an organisation of its own.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn register(&self, email: &str) -> Session {
        let body = json!({"email": email, "password": PASSWORD, "name": email, "organization": email});
        let answer = self.post_json("/api/v1/auth/register", &body).await;
        Session::read(self.ok("register", answer))
    }

    /// Logs a registered user in.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn login(&self, email: &str) -> Session {
        let answer = self.try_login(email, PASSWORD).await;
        Session::read(self.ok("login", answer))
    }

    /// Logs in with any password.
    pub async fn try_login(&self, email: &str, password: &str) -> Answer {
        self.post_json("/api/v1/auth/login", &json!({"email": email, "password": password})).await
    }

    /// Spends a refresh token.
    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post_json("/api/v1/auth/refresh", &json!({"refresh_token": refresh_token})).await
    }

    /// This client with the session's access token.
    #[must_use]
    pub fn signed_in(&self, session: &Session) -> Self {
        self.with_token(&session.access_token)
    }

    /// Creates a project whose boss is called at `boss_phone`.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn create_project(&self, id: &str, boss_phone: &str) -> Project {
        self.create_project_with(id, &dna(boss_phone)).await
    }

    /// Creates a project with a DNA of its own.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn create_project_with(&self, id: &str, dna: &Value) -> Project {
        let body = json!({"project_id": id, "business_name": "Kererū Plumbing", "dna": dna});
        let answer = self.post_json("/api/v1/projects", &body).await;
        let body = self.ok("create project", answer);
        let [webhook_token, google_key] = ["webhook_token", "google_key"].map(|name| text(&body, name));
        Project { id: text(&body, "project_id"), webhook_token, google_key, body }
    }

    /// The live tree of a project.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn actors(&self, project: &str) -> Value {
        let answer = self.get(&format!("/api/v1/projects/{project}/actors")).await;
        self.ok("actors", answer)
    }
}

/// The smallest DNA that rings a boss.
pub fn dna(boss_phone: &str) -> Value {
    json!({
        "identity": {"region": "NZ", "timezone": "Pacific/Auckland"},
        "modules": {"lead_gen": {"enabled": true, "sales_bridge": {"destination_phone": boss_phone}}},
    })
}
