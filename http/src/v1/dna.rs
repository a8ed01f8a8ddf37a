//! `/projects/{project_id}/dna`: what a project wants, in layers, as YAML or JSON.

mod put;
mod show;

use apex_config::dna::{self, Format};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::etag;
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show::show_dna, put::put_dna))
}

/// The format that a media type names.
fn format_of(media: &str) -> Option<Format> {
    match media {
        "application/json" => Some(Format::Json),
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Some(Format::Yaml),
        _ => None,
    }
}

/// The first format in `Accept` that we write; JSON when none is.
fn wanted_format(headers: &HeaderMap) -> Format {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = |part: &str| part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    accept.split(',').find_map(|part| format_of(&media(part))).unwrap_or(Format::Json)
}

/// A layer in the format that was asked for; the project's version is the `ETag`.
fn written(layer: &Value, format: Format, version: i64) -> Response {
    let (media, text) = match format {
        Format::Json => ("application/json", layer.to_string()),
        Format::Yaml => ("application/yaml", dna::to_yaml(layer)),
    };
    ([(CONTENT_TYPE, media.to_owned()), (header::ETAG, etag(version))], text).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_format_that_we_write_is_taken() {
        let wanted =
            |accept| wanted_format(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]));
        assert_eq!(wanted("application/yaml"), Format::Yaml);
        assert_eq!(wanted("text/html, Text/YAML;q=0.9, */*"), Format::Yaml);
        assert_eq!(wanted("application/json, application/yaml"), Format::Json);
        assert_eq!(wanted("*/*"), Format::Json);
        assert_eq!(wanted_format(&HeaderMap::new()), Format::Json);
    }

    #[test]
    fn a_layer_that_is_shown_can_be_sent_back() {
        let layer = serde_json::json!({"identity": {"region": "NO", "contact": {"phone": "027 555 0001"}}});
        assert_eq!(dna::parse(&dna::to_yaml(&layer), Format::Yaml).unwrap(), layer);
    }
}
