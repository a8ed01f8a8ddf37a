//! How the callbacks look in the API document.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder, Schema};
use utoipa::{IntoParams, IntoResponses, PartialSchema, ToSchema};

/// The form that Twilio sends: parameters by name.
pub(crate) struct Form;

impl PartialSchema for Form {
    fn schema() -> RefOr<Schema> {
        HashMap::<String, String>::schema()
    }
}

impl ToSchema for Form {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ProviderForm")
    }
}

/// The query of every callback address that we give away.
pub(crate) struct Address;

impl IntoParams for Address {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let named = [
            ("org", "The organisation."),
            ("project", "Its project."),
            ("ticket", "The ticket that waits for it."),
            ("bridge", "The bridge, for calls that connect two people."),
            ("effect", "The call or message."),
        ];
        let id = || {
            let format = SchemaFormat::KnownFormat(KnownFormat::Uuid);
            ObjectBuilder::new().schema_type(Type::String).format(Some(format)).build()
        };
        let parameter = |(name, description): (&str, &str)| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(description))
                .schema(Some(id()))
                .build()
        };
        named.into_iter().map(parameter).collect()
    }
}

/// Answers of a path that says what happens next.
pub(crate) struct Spoken;

impl IntoResponses for Spoken {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let script = ResponseBuilder::new()
            .description("A TwiML document; when the rows cannot be had in time, an apology")
            .content("text/xml", ContentBuilder::new().schema(Some(text)).build())
            .build();
        answers([
            ("200", script),
            ("403", problem("Invalid signature")),
            ("413", problem("Body too large")),
            ("429", problem("Invalid signature too often")),
        ])
    }
}

/// Answers of a path that is only told something.
pub(crate) struct Noted;

impl IntoResponses for Noted {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        answers([
            ("204", Response::new("Kept")),
            ("403", problem("Invalid signature")),
            ("413", problem("Body too large")),
            ("429", problem("Invalid signature too often")),
            ("503", problem("Not kept: the rows cannot be had")),
        ])
    }
}

fn problem(description: &str) -> Response {
    let schema = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

fn answers<const N: usize>(answers: [(&str, Response); N]) -> BTreeMap<String, RefOr<Response>> {
    answers.into_iter().map(|(status, answer)| (status.to_owned(), RefOr::T(answer))).collect()
}
