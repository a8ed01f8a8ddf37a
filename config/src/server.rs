//! Addresses this server listens on and is reached by.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::Url;

use crate::{
    check::base_url,
    load::Environment,
    problem::{Checked, Fault},
    source::Source,
};

/// Addresses of the API and of the operator's port.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where the API listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Where `/live`, `/ready` and `/metrics` listen.
    pub admin_bind: SocketAddr,
    /// How the outside reaches the API: the base of callback addresses. Always https in production.
    pub public_url: Option<Url>,
    /// Origins whose browser pages may call the API, without a slash at the end.
    pub allowed_origins: Vec<String>,
    /// How long a new connection may take until its first request line and headers are here.
    pub head_within: Duration,
    /// How long the body of a request may take to arrive.
    pub body_within: Duration,
    /// How long a connection may rest until the headers of its next request are here.
    pub keep_alive: Duration,
}

impl Server {
    pub(crate) fn read(source: &mut Source<'_>, environment: Environment) -> Self {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Self {
            bind: source.checked("server.bind", address).unwrap_or(nowhere),
            admin_bind: source.checked("server.admin_bind", address).unwrap_or(nowhere),
            public_url: source.checked("server.public_url", |text| public_url(text, environment)),
            allowed_origins: source.list("server.allowed_origins", origin),
            head_within: source.seconds("server.head_seconds", 1..=300),
            body_within: source.seconds("server.body_seconds", 1..=300),
            keep_alive: source.seconds("server.keep_alive_seconds", 1..=3_600),
        };
        if server.bind == server.admin_bind && server.bind.port() != 0 {
            source.refuse("server.admin_bind", "is the same address as the API's", "choose another port");
        }
        server
    }
}

fn address(text: &str) -> Checked<SocketAddr> {
    text.parse().map_err(|_| Fault::new("is not an address with a port", "write it like 127.0.0.1:8000"))
}

fn public_url(text: &str, environment: Environment) -> Checked<Url> {
    let url = base_url(text)?;
    if environment.is_production() && url.scheme() != "https" {
        return Err(Fault::new("must begin with https:// in production", "put a proxy with a certificate in front"));
    }
    Ok(url)
}

fn origin(text: &str) -> Checked<String> {
    let example = "list origins like https://app.example.com, separated by commas";
    let url = base_url(text).map_err(|fault| Fault::new(format!("an origin {}", fault.problem), example))?;
    if url.path() != "/" {
        return Err(Fault::new("an origin has no path", example));
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_lose_their_slash_and_keep_their_port() {
        assert_eq!(origin("https://App.example.com/").unwrap(), "https://app.example.com");
        assert_eq!(origin("http://localhost:3000").unwrap(), "http://localhost:3000");
        assert!(origin("*").is_err());
        assert!(origin("https://app.example.com/path").is_err());
    }

    #[test]
    fn production_takes_no_plain_http() {
        assert!(public_url("http://apex.example.com", Environment::Production).is_err());
        assert!(public_url("http://apex.example.com", Environment::Development).is_ok());
        assert!(public_url("https://apex.example.com", Environment::Production).is_ok());
    }
}
