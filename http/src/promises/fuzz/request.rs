//! Requests for every operation of the document, as it says and otherwise.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::Union;
use serde_json::Value;
use url::form_urlencoded;

use super::body::{Content, Damage, contents, damages};
use super::shapes::{Operation, Shapes, nasty, strings};
use super::world::World;

/// A request before what is known stands in its places.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// What it was made for, as the document calls it.
    pub operation: String,
    method: String,
    /// The path, cut at its variable parts, which follow.
    path: String,
    detour: Option<Detour>,
    query: Vec<(String, String)>,
    raw_query: Option<&'static str>,
    headers: Vec<(&'static str, Vec<u8>)>,
    is_proved: bool,
    content: Content,
    damage: Damage,
}

/// A path that is not the one of the document.
#[derive(Clone, Debug)]
enum Detour {
    Alias,
    Insert(Index, &'static str),
    Cut(Index),
}

/// Any request.
pub(super) fn requests(shapes: &Shapes<'_>) -> BoxedStrategy<Case> {
    Union::new(shapes.all().into_iter().map(|operation| case(shapes, &operation))).boxed()
}

fn case<'a>(shapes: &Shapes<'a>, operation: &Operation<'a>) -> BoxedStrategy<Case> {
    let (name, method) = (operation.name(), operation.method.clone());
    let parameters = operation.described["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = |place: &str| parameters.iter().filter(move |parameter| parameter["in"] == place).collect::<Vec<_>>();
    let queries: Vec<_> = of("query").into_iter().map(|parameter| query(shapes, parameter)).collect();
    let bodies = operation.described["requestBody"]["content"].as_object();
    let json =
        bodies.and_then(|kinds| kinds.get("application/json")).map(|kind| shapes.values("body", &kind["schema"], 0));
    let target =
        (path(operation.path), option::weighted(0.12, detours()), queries, option::weighted(0.03, raw_queries()));
    let head = (option::weighted(0.04, methods()), headers(), prop::bool::weighted(0.8));
    let parts = (target, head, contents(json), damages());
    let made =
        parts.prop_map(move |((path, detour, queries, raw_query), (other, headers, is_proved), content, damage)| {
            Case {
                operation: name.clone(),
                method: other.map_or_else(|| method.clone(), str::to_owned),
                path,
                detour,
                query: queries.into_iter().flatten().collect(),
                raw_query,
                headers,
                is_proved,
                content,
                damage,
            }
        });
    made.boxed()
}

/// A path with its variable parts filled.
fn path(template: &str) -> BoxedStrategy<String> {
    let pieces: Vec<BoxedStrategy<String>> = template
        .split_inclusive('/')
        .map(|piece| match piece.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((name, rest)) => {
                let rest = rest.to_owned();
                variable(template, name).prop_map(move |value| format!("{value}{rest}")).boxed()
            }
            None => Just(piece.to_owned()).boxed(),
        })
        .collect();
    pieces.prop_map(|pieces| pieces.concat()).boxed()
}

fn variable(template: &str, name: &str) -> BoxedStrategy<String> {
    let kinds = [
        ("/leads/", "@lead"),
        ("/tickets/", "@ticket"),
        ("/context/", "@ticket"),
        ("/schedules/", "@schedule"),
        ("/api-keys/", "@api_key_id"),
    ];
    let fitting =
        kinds.iter().find(|(kind, _)| name == "id" && template.contains(kind)).map_or("@project", |(_, id)| id);
    let format = (name == "id").then_some("uuid");
    let odd = ["%00", "%ff", "%2e%2e%2f", "..", "%", "a%20b", "%F0%9F%91%A9", "-1", "9223372036854775808", "%zz"];
    let encoded = nasty().prop_map(|text| form_urlencoded::byte_serialize(text.as_bytes()).collect());
    prop_oneof![8 => Just(fitting.to_owned()), 8 => strings(name, format), 1 => select(odd.map(str::to_owned).to_vec()), 1 => encoded].boxed()
}

fn query<'a>(shapes: &Shapes<'a>, parameter: &'a Value) -> BoxedStrategy<Option<(String, String)>> {
    let name = parameter["name"].as_str().unwrap_or_default().to_owned();
    let likely = if parameter["required"] == true { 0.97 } else { 0.3 };
    let values = shapes.values(&name, &parameter["schema"], 0);
    let pair = values.prop_map(move |value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), text)
    });
    option::weighted(likely, pair).boxed()
}

fn raw_queries() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "&&&",
        "=",
        "a=%",
        "a=%ff",
        "limit=1&limit=2",
        "%00=%00",
        "project_id[]=a",
        "limit=1;drop",
        "a=b=c",
        "cursor=%",
    ])
}

fn methods() -> impl Strategy<Value = &'static str> {
    select(vec![
        "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW", "get", "PROPFIND",
    ])
}

fn detours() -> BoxedStrategy<Detour> {
    let pieces = select(vec!["/", "//", "%2f", ".", "x", ";", "%00", "/../", "%C0%AF", ":", "*"]);
    prop_oneof![
        4 => Just(Detour::Alias),
        1 => (any::<Index>(), pieces).prop_map(|(at, piece)| Detour::Insert(at, piece)),
        1 => any::<Index>().prop_map(Detour::Cut),
    ]
    .boxed()
}

/// Headers that something reads, with values as they are meant and otherwise.
fn headers() -> BoxedStrategy<Vec<(&'static str, Vec<u8>)>> {
    let known: Vec<(&'static str, &'static str)> = vec![
        ("content-type", "application/json"),
        ("content-type", "application/yaml"),
        ("content-type", "multipart/form-data"),
        ("content-type", "text/plain; charset=latin1"),
        ("content-type", "multipart/form-data; boundary="),
        ("if-match", "\"1\""),
        ("if-match", "*"),
        ("if-match", "\"99999999999999999999\""),
        ("if-none-match", "\"1\""),
        ("idempotency-key", "k1"),
        ("idempotency-key", "\"k2\""),
        ("x-org-id", "@org"),
        ("x-org-id", "@other_org"),
        ("last-event-id", "1"),
        ("last-event-id", "-1"),
        ("range", "bytes=0-0"),
        ("range", "bytes=-1"),
        ("range", "bytes=9999999999999999999-"),
        ("range", "lines=1-2,3-4"),
        ("authorization", "Bearer"),
        ("authorization", "Bearer x.y.z"),
        ("authorization", "Basic b3duZXI6eA=="),
        ("authorization", "Bearer @stream"),
        ("authorization", "Bearer @api_key"),
        ("authorization", "Bearer apx_nonsense"),
        ("authorization", "Bearer @refresh"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("origin", "https://app.example"),
        ("origin", "null"),
        ("accept", "text/html"),
        ("cookie", "session=1"),
        ("content-encoding", "gzip"),
        ("transfer-encoding", "chunked"),
        ("expect", "100-continue"),
        ("x-twilio-webhooks-signature-settings", "v2"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-http-method-override", "DELETE"),
        ("access-control-request-method", "POST"),
        ("user-agent", ""),
        ("i-twilio-idempotency-token", "a"),
    ];
    let names: Vec<&'static str> = known.iter().map(|(name, _)| *name).collect();
    let known = select(known).prop_map(|(name, value)| (name, value.as_bytes().to_vec()));
    let value = prop_oneof![vec(any::<u8>(), 0..20), nasty().prop_map(String::into_bytes)];
    let one = prop_oneof![5 => known, 1 => (select(names), value)];
    prop_oneof![3 => Just(Vec::new()), 1 => vec(one, 1..4)].boxed()
}

impl Case {
    /// The request; `None` when no server could be sent it.
    pub fn request(&self, world: &World) -> Option<Request<Body>> {
        let target = self.target(world);
        let uri: Uri = target.parse().ok()?;
        let mut request = Request::builder().method(Method::from_bytes(self.method.as_bytes()).ok()?).uri(uri);
        let bytes = self.content.bytes(world, &self.damage);
        let headers = request.headers_mut()?;
        if let Some(media) = self.content.media() {
            headers.insert("content-type", HeaderValue::from_static(media));
        }
        if self.is_proved {
            let form: Vec<(String, String)> = form_urlencoded::parse(&bytes).into_owned().collect();
            headers.insert("authorization", world.bearer().parse().ok()?);
            headers.insert("x-twilio-signature", World::signature(&target, &form).parse().ok()?);
        }
        for (name, value) in &self.headers {
            let value =
                std::str::from_utf8(value).map_or_else(|_| value.clone(), |text| world.filled(text).into_bytes());
            headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?);
        }
        request.body(Body::from(bytes)).ok()
    }

    fn target(&self, world: &World) -> String {
        let mut path = self.path.clone();
        match &self.detour {
            None => {}
            Some(Detour::Alias) => path = path.replacen("/api/v1/", "/api/", 1),
            Some(Detour::Insert(at, piece)) => path.insert_str(boundary(&path, *at), piece),
            Some(Detour::Cut(at)) => path.truncate(boundary(&path, *at).max(1)),
        }
        let path = world.filled(&path);
        let pairs = self.query.iter().map(|(name, value)| (name, world.filled(value)));
        let query: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        match (self.raw_query, query.is_empty()) {
            (Some(raw), _) => format!("{path}?{query}&{raw}"),
            (None, true) => path,
            (None, false) => format!("{path}?{query}"),
        }
    }
}

/// A place after the first slash that does not cut a character.
fn boundary(path: &str, at: Index) -> usize {
    let places: Vec<usize> = path.char_indices().map(|(place, _)| place).skip(1).chain([path.len()]).collect();
    places[at.index(places.len())]
}
