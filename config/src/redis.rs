//! Where tickets are mirrored for reading. Losing it loses nothing.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::{
    problem::{Checked, Fault},
    source::Source,
};

/// The mirror.
#[derive(Clone, Debug)]
pub struct Redis {
    /// The server; `None`: tickets are mirrored in memory. The text may hold a password.
    pub url: Option<SecretString>,
    /// How long a mirrored ticket is kept.
    pub ttl: Duration,
}

impl Redis {
    pub(crate) fn read(source: &mut Source<'_>) -> Self {
        Self { url: source.checked("redis.url", redis_url), ttl: source.seconds("redis.ttl_seconds", 1..=30 * 86_400) }
    }
}

fn redis_url(text: &str) -> Checked<SecretString> {
    let example = "write it like redis://127.0.0.1:6379";
    let url = Url::parse(text).map_err(|error| Fault::new(format!("is not a URL ({error})"), example))?;
    let reachable = match url.scheme() {
        "redis" | "rediss" => url.host_str().is_some_and(|host| !host.is_empty()),
        "redis+unix" | "unix" => url.path().len() > 1,
        _ => return Err(Fault::new("must begin with redis:// or rediss://", example)),
    };
    if reachable { Ok(SecretString::from(text)) } else { Err(Fault::new("names no host", example)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_redis_addresses_are_taken() {
        for text in ["redis://127.0.0.1", "rediss://:p@h:6380/1", "unix:///run/redis.sock"] {
            assert!(redis_url(text).is_ok(), "{text}");
        }
        for text in ["127.0.0.1:6379", "http://h", "redis://", "redis:"] {
            assert!(redis_url(text).is_err(), "{text}");
        }
    }
}
