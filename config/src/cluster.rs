//! Other nodes of the same installation.

use secrecy::SecretString;
use url::Url;

use crate::{
    check::{MAKE_SECRET, base_url, long_secret},
    source::Source,
};

/// How nodes find and trust each other.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// How other nodes reach this one; set = clustered (then the database is `PostgreSQL` and `secret` is set).
    pub advertise_url: Option<Url>,
    /// Signs requests between nodes; at least 32 bytes.
    pub secret: Option<SecretString>,
}

impl Cluster {
    /// Whether this node is one of several.
    pub fn is_clustered(&self) -> bool {
        self.advertise_url.is_some()
    }

    pub(crate) fn read(source: &mut Source<'_>) -> Self {
        if source.is_set("cluster.advertise_url") && !source.is_set("cluster.secret") {
            source.refuse("cluster.secret", "missing, and required when APEX_ADVERTISE_URL is set", MAKE_SECRET);
        }
        Self {
            advertise_url: source.checked("cluster.advertise_url", base_url),
            secret: source.checked("cluster.secret", long_secret),
        }
    }
}
