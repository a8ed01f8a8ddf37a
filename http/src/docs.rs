//! The document of the API: what stands in it besides the operations, and where people read it.

use std::collections::BTreeMap;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

use crate::problem::Problem;
use crate::state::AppState;

/// Everything but the operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Apex",
        description = "From a lead form to a connected call to a CRM entry. Each path under /api/v1 is also served under /api.\n\n\
                       Failures are `application/problem+json`: switch on `code`, never on texts.\n\n\
                       Send `x-org-id` to act in another organisation of yours than the one you signed in to.\n\n\
                       Programs send an API key (`apx_...`) where people send an access token.\n\n\
                       `X-RateLimit-Limit`, `-Remaining` and `-Reset` (seconds until all of it is there again) tell what is left; \
                       429 says in `Retry-After` when to come again.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
    tags(
        (name = "Identity", description = "Who is calling"),
        (name = "Projects", description = "Client businesses and what they want"),
        (name = "Tasks", description = "What a project is asked to do, and how far it is"),
        (name = "Dead letters", description = "Tasks that were set aside"),
        (name = "Schedules", description = "Tasks that are run by themselves"),
        (name = "Effects", description = "Calls and messages on their way out"),
        (name = "Leads", description = "Who asked for service, and what came of it"),
        (name = "Providers", description = "What lead forms and the telephone provider send"),
        (name = "Audit", description = "Who changed what"),
        (name = "Operation", description = "Whether it runs"),
    )
)]
pub(crate) struct Base;

/// The security scheme `bearer`.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        document.components.get_or_insert_default().add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// How any request of somebody signed in can fail.
pub(crate) struct Failures;

impl IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "The request cannot be understood"),
            ("401", "Nobody knows who is calling"),
            ("403", "The caller may not do this"),
            ("404", "Not there, or not the caller's"),
            ("422", "Some fields are not as they must be; `errors` names them"),
            ("429", "Too much at once; come again after `retry_after` seconds"),
            ("503", "Unavailable for a moment; come again after `retry_after` seconds"),
        ])
    }
}

/// How any request of a stranger can fail.
pub(crate) struct PublicFailures;

impl IntoResponses for PublicFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "The request cannot be understood"),
            ("422", "Some fields are not as they must be; `errors` names them"),
            ("429", "Too much at once; come again after `retry_after` seconds"),
            ("503", "Unavailable for a moment; come again after `retry_after` seconds"),
        ])
    }
}

fn problems(statuses: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = |description: &str| {
        ResponseBuilder::new().description(description).content("application/problem+json", content()).build()
    };
    statuses.iter().map(|(status, description)| ((*status).to_owned(), RefOr::T(response(description)))).collect()
}

/// `/docs`, `/openapi.json` and `/redoc`, without anything from elsewhere.
pub(crate) fn routes(document: Document) -> Router<AppState> {
    let pages: Router<AppState> = SwaggerUi::new("/docs").url("/openapi.json", document).into();
    pages.route("/redoc", get(|| async { Redirect::permanent("/docs") }))
}
