//! `POST /auth/register`: a person and an organisation of their own.

use apex_storage::model::{OrgId, UserId};
use apex_storage::{IdentityTx, Member, NewUser, StorageError, User};
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{SignedIn, open_session};
use crate::auth::password;
use crate::docs::PublicFailures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::problem::{FieldProblem, Problem};
use crate::state::AppState;

const LONGEST_NAME: usize = 200;
const LONGEST_EMAIL: usize = 254;
const LONGEST_SLUG: usize = 40;

/// Who signs up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterRequest {
    email: String,
    /// 8 to 200 characters.
    password: String,
    /// As you want to be called; the part before the @ when it is left out.
    name: Option<String>,
    /// The name of your organisation; your own name when it is left out.
    organization: Option<String>,
}

/// Registers a person with an organisation of their own, and signs them in.
#[utoipa::path(
    post, path = "/auth/register", operation_id = "register", tag = "Identity", security(()),
    request_body = RegisterRequest,
    responses(
        (status = 201, description = "Registered and signed in", body = SignedIn),
        (status = 409, description = "The address is taken", body = Problem, content_type = "application/problem+json"),
        PublicFailures,
    )
)]
#[tracing::instrument(name = "http.auth.register", skip_all)]
pub(crate) async fn register(
    State(app): State<AppState>,
    Json(request): Json<RegisterRequest>,
) -> Result<(StatusCode, Json<SignedIn>), ApiError> {
    let wanted = Wanted::read(&request)?;
    let password = request.password;
    let password_hash = app.hash_aside(move || password::hash(&password)).await??;
    let signed_in = match enrol(&app, &wanted, &password_hash, wanted.slug.clone()).await {
        Err(error) if error.is_taken_slug() => {
            let suffix = format!("{}-{:06x}", wanted.slug, rand::random::<u32>() >> 8);
            enrol(&app, &wanted, &password_hash, suffix).await
        }
        done => done,
    };
    Ok((StatusCode::CREATED, Json(signed_in.map_err(Failed::told)?)))
}

/// What was asked for, checked.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    email: String,
    name: String,
    org_name: String,
    slug: String,
}

impl Wanted {
    fn read(request: &RegisterRequest) -> Result<Self, ApiError> {
        let mut wrong = Vec::new();
        let mut refuse = |field: &str, problem: String| {
            wrong.push(FieldProblem { field: field.to_owned(), problem, fix: None });
        };
        let email = request.email.trim().to_lowercase();
        if !is_email(&email) {
            refuse("email", "is not an e-mail address".to_owned());
        }
        if let Err(problem) = password::check_rules(&request.password) {
            refuse("password", problem.to_string());
        }
        let before_at = email.split('@').next().unwrap_or_default();
        let name = request.name.as_deref().map_or(before_at, str::trim).to_owned();
        let org_name = request.organization.as_deref().map_or(name.as_str(), str::trim).to_owned();
        for (field, value) in [("name", &name), ("organization", &org_name)] {
            if !(1..=LONGEST_NAME).contains(&value.chars().count()) {
                refuse(field, format!("must have 1 to {LONGEST_NAME} characters"));
            }
        }
        if wrong.is_empty() {
            let slug = slug_of(&org_name);
            Ok(Self { email, name, org_name, slug })
        } else {
            Err(ApiError::invalid_fields(wrong))
        }
    }
}

/// Why nobody was enrolled.
enum Failed {
    Storage(StorageError),
    Api(ApiError),
}

impl Failed {
    fn is_taken_slug(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Taken("organization")))
    }

    fn told(self) -> ApiError {
        match self {
            Self::Storage(error) => error.into(),
            Self::Api(error) => error,
        }
    }
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

async fn enrol(app: &AppState, wanted: &Wanted, password_hash: &str, slug: String) -> Result<SignedIn, Failed> {
    let Wanted { email, name, org_name, .. } = wanted;
    let (id, org) = (UserId::new(), OrgId::new());
    let mut tx: IdentityTx = app.store().identity().await?;
    tx.register(&NewUser { id, email, name, password_hash, org, org_name, org_slug: &slug }).await?;
    let user = User {
        id,
        email: email.clone(),
        name: name.clone(),
        password_hash: String::new(), // nobody reads it from here
        created_at: app.now(),
    };
    let member = Member { org_id: org, org_name: org_name.clone(), org_slug: slug, role: "owner".to_owned() };
    let signed_in = open_session(app, &mut tx, user, member, None).await.map_err(Failed::Api)?;
    tx.commit().await?;
    Ok(signed_in)
}

/// Good enough to write to: one @ with something on both sides, and nothing that breaks a header.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let plain =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
    text.len() <= LONGEST_EMAIL && plain(local) && plain(domain) && !domain.starts_with('.') && !domain.ends_with('.')
}

/// Letters and digits of the name, the rest as single dashes.
fn slug_of(name: &str) -> String {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let slug: String = words.join("-").chars().take(LONGEST_SLUG).collect();
    if slug.is_empty() { "organization".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(email: &str, password: &str, name: Option<&str>, organization: Option<&str>) -> RegisterRequest {
        RegisterRequest {
            email: email.into(),
            password: password.into(),
            name: name.map(Into::into),
            organization: organization.map(Into::into),
        }
    }

    #[test]
    fn an_address_is_kept_in_lower_case_and_fills_in_the_names() {
        let wanted = Wanted::read(&request(" Boss@Kereru.Example ", "correct horse", None, None)).unwrap();
        assert_eq!((wanted.email.as_str(), wanted.name.as_str()), ("boss@kereru.example", "boss"));
        assert_eq!((wanted.org_name.as_str(), wanted.slug.as_str()), ("boss", "boss"));
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let error = Wanted::read(&request("boss", "short", Some(" "), Some(""))).unwrap_err();
        let text = format!("{error:?}");
        for field in ["email", "password", "name", "organization"] {
            assert!(text.contains(&format!("field: {field:?}")), "{field}: {text}");
        }
    }

    #[test]
    fn a_slug_is_plain() {
        for (name, slug) in
            [("Kererū Plumbing & Co.", "kerer-plumbing-co"), ("ÄÖ", "organization"), ("a@b.example", "a-b-example")]
        {
            assert_eq!(slug_of(name), slug);
        }
        assert_eq!(slug_of(&"x".repeat(100)).len(), LONGEST_SLUG);
    }

    #[test]
    fn what_cannot_be_an_address_is_none() {
        for good in ["a@b", "a.b+c@kereru.example", "ü@kereru.example"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a@@b", "a b@c", "a@b\r\nBcc: c@d", "a@.b", "a@b."] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
