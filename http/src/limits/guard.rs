//! The limits around every request: first the node's, then those of whoever asks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use apex_storage::model::OrgId;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use super::{Limits, tally, whole_seconds};
use crate::access::bearer_of;
use crate::error::ApiError;
use crate::state::AppState;

/// Requests at once, requests left, seconds until all are there again.
pub(crate) const HEADERS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Whether it runs, and how the API is described.
    Operation,
    /// A lead. It proves itself by the key of its project.
    Lead,
    /// A callback. It proves itself by its signature.
    Callback,
    /// Somebody signs in, or on: an attempt that was right is not counted.
    SignIn,
    /// Somebody signs up: each attempt is counted.
    SignUp,
    /// All the rest.
    Api,
}

impl Kind {
    fn of(route: Option<&str>) -> Self {
        let Some(route) = route else { return Self::Api };
        let Some(rest) = route.strip_prefix("/api/v1/").or_else(|| route.strip_prefix("/api/")) else {
            return Self::Operation;
        };
        match rest.split_once('/') {
            Some(("webhooks", _)) => Self::Lead,
            Some(("voice" | "sms", _)) => Self::Callback,
            Some(("auth", "login" | "refresh")) => Self::SignIn,
            Some(("auth", "register")) => Self::SignUp,
            _ => Self::Api,
        }
    }

    const fn may_be_shed(self) -> bool {
        !matches!(self, Self::Lead | Self::Callback)
    }

    /// Whether an answer of this status was given to somebody who proved nothing.
    fn is_unproven(self, status: StatusCode) -> bool {
        match self {
            Self::Lead => matches!(status.as_u16(), 400 | 403 | 404),
            Self::Callback => status == StatusCode::FORBIDDEN,
            _ => false,
        }
    }
}

/// Who asks, as far as a request tells.
struct Visitor {
    /// The other end of the connection. What a proxy says about others is not believed.
    address: IpAddr,
    authorization: Option<HeaderValue>,
    has_ticket: bool,
}

impl Visitor {
    fn of(request: &Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self {
            address: peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| peer.ip()),
            authorization: request.headers().get(header::AUTHORIZATION).cloned(),
            has_ticket: has_ticket(request.uri()),
        }
    }

    /// Whether the request says who it is from. Whether that is true is seen later.
    fn is_named(&self) -> bool {
        self.authorization.is_some() || self.has_ticket
    }

    /// The organisation of a good access token.
    fn org(&self, app: &AppState) -> Option<OrgId> {
        let claims = app.tokens().verify_access(bearer_of(self.authorization.as_ref()?)?, app.now()).ok()?;
        Some(OrgId(claims.org_id))
    }
}

fn has_ticket(uri: &Uri) -> bool {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).any(|(name, _)| name == "ticket")
}

/// Answers a request within the limits, and tells what is left of them.
pub(crate) async fn guard(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let kind = Kind::of(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    if kind == Kind::Operation {
        return next.run(request).await;
    }
    let Some(_in_hand) = app.limits().enter(kind.may_be_shed()) else {
        return ApiError::overloaded().into_response();
    };
    let visitor = Visitor::of(&request);
    let answer = async {
        let mut response = match kind {
            Kind::Lead | Kind::Callback => proven(&app, kind, &visitor, next.run(request)).await,
            Kind::SignIn | Kind::SignUp => signing(&app, kind, &visitor, next.run(request)).await,
            Kind::Operation | Kind::Api => counted(&app, &visitor, next.run(request)).await,
        };
        tell(response.headers_mut());
        response
    };
    tally::keep(answer).await
}

/// A sender is counted after it has shown that it cannot prove itself: who can is never refused.
async fn proven(app: &AppState, kind: Kind, visitor: &Visitor, answer: impl Future<Output = Response>) -> Response {
    let response = answer.await;
    if kind.is_unproven(response.status()) {
        return instead(app.limits().address(visitor.address, monotonic(app)), response);
    }
    response
}

/// Counted before the work, since a password costs much.
async fn signing(app: &AppState, kind: Kind, visitor: &Visitor, answer: impl Future<Output = Response>) -> Response {
    let (limits, now): (&Limits, _) = (app.limits(), monotonic(app));
    let first = limits.address(visitor.address, now).and_then(|()| limits.login_address(visitor.address, now));
    if let Err(refused) = first {
        return refused.into_response();
    }
    let response = answer.await;
    let was_right = kind == Kind::SignIn && response.status().is_success();
    if was_right || response.status().is_server_error() {
        limits.excuse(visitor.address, monotonic(app));
    }
    response
}

/// Who is named is counted when they are known ([`Limits::organization`]); who turns out to be nobody, as their address.
async fn counted(app: &AppState, visitor: &Visitor, answer: impl Future<Output = Response>) -> Response {
    let limits = app.limits();
    if !visitor.is_named() {
        if let Err(refused) = limits.address(visitor.address, monotonic(app)) {
            return refused.into_response();
        }
        return answer.await;
    }
    let response = answer.await;
    if tally::so_far().is_known {
        return response;
    }
    let now = monotonic(app);
    let count = match visitor.org(app) {
        Some(org) => limits.organization(org, now),
        None => limits.address(visitor.address, now),
    };
    instead(count, response)
}

/// A refusal takes the place of another one, and never of something that was done.
fn instead(count: Result<(), ApiError>, response: Response) -> Response {
    match count {
        Err(refused) if response.status().is_client_error() => refused.into_response(),
        _ => response,
    }
}

fn monotonic(app: &AppState) -> std::time::Instant {
    app.store().clock().monotonic()
}

fn tell(headers: &mut HeaderMap) {
    let Some(taken) = tally::so_far().tightest else { return };
    for (name, value) in HEADERS.into_iter().zip([taken.limit, taken.remaining, whole_seconds(taken.reset)]) {
        headers.insert(name, HeaderValue::from(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_its_kind_in_both_spellings() {
        for (rest, kind) in [
            ("webhooks/google-ads", Kind::Lead),
            ("webhooks/wordpress", Kind::Lead),
            ("voice/status", Kind::Callback),
            ("sms/incoming", Kind::Callback),
            ("auth/login", Kind::SignIn),
            ("auth/refresh", Kind::SignIn),
            ("auth/register", Kind::SignUp),
            ("auth/logout", Kind::Api),
            ("run", Kind::Api),
            ("leads/{id}", Kind::Api),
        ] {
            for prefix in ["/api/v1/", "/api/"] {
                assert_eq!(Kind::of(Some(&format!("{prefix}{rest}"))), kind, "{prefix}{rest}");
            }
        }
        for path in ["/", "/health", "/health/ready", "/docs/{*rest}", "/openapi.json", "/redoc"] {
            assert_eq!(Kind::of(Some(path)), Kind::Operation, "{path}");
        }
        assert_eq!(Kind::of(None), Kind::Api);
    }

    #[test]
    fn a_stream_ticket_names_somebody() {
        assert!(has_ticket(&"/api/v1/context/1/events?a=b&ticket=x".parse().unwrap()));
        assert!(!has_ticket(&"/api/v1/context/ticket?tickets=1".parse().unwrap()));
    }

    #[test]
    fn nothing_that_was_done_is_refused_afterwards() {
        let refused = || Err(ApiError::rate_limited(1));
        for (status, told) in [(200, 200), (404, 429), (403, 429), (503, 503)] {
            let response = StatusCode::from_u16(status).unwrap().into_response();
            assert_eq!(instead(refused(), response).status(), told);
        }
        assert_eq!(instead(Ok(()), StatusCode::FORBIDDEN.into_response()).status(), 403);
    }
}
