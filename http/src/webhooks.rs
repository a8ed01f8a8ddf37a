//! Leads from outside: each reader turns a foreign body into the same [`fields::FormFields`], each receiver proves the
//! sender, commits once and answers. Nothing on the way waits for an actor, a provider or Redis.

pub mod fields;
pub mod google_ads;
pub mod wordpress;

mod intake;
mod receive_google_ads;
mod receive_wordpress;

use axum::http::Uri;
use url::form_urlencoded;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

/// Every path that a lead comes in by.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(receive_google_ads::receive_google_ads))
        .routes(routes!(receive_wordpress::receive_wordpress))
}

/// A parameter of the address, the first of its name; empty is absent.
fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let (_, value) = pairs.find(|(key, _)| key == name)?;
    Some(value.into_owned()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_decoded_and_an_empty_one_absent() {
        let uri: Uri = "/api/webhooks/wordpress?project_id=kereru&token=a%2Bb&token=c&x=".parse().unwrap();
        assert_eq!(parameter(&uri, "project_id").as_deref(), Some("kereru"));
        assert_eq!(parameter(&uri, "token").as_deref(), Some("a+b"));
        assert_eq!((parameter(&uri, "x"), parameter(&uri, "y")), (None, None));
    }
}
