//! How a sandbox is started.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How fast people and telephone networks are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As fast as possible: what takes time is reported, not waited for.
    #[default]
    Instant,
    /// Slow enough to watch; a whole call stays under 14 seconds.
    Human,
}

impl Pace {
    fn pick(self, human_ms: u64, instant_ms: u64) -> Duration {
        Duration::from_millis(if self == Self::Human { human_ms } else { instant_ms })
    }

    /// A phone rings until somebody picks up.
    pub(crate) fn ring(self) -> Duration {
        self.pick(1500, 1)
    }

    /// A phone rings and nobody picks up.
    pub(crate) fn unanswered(self) -> Duration {
        self.pick(4000, 2)
    }

    /// Somebody hears a question and presses a key.
    pub(crate) fn thinks(self) -> Duration {
        self.pick(3000, 1)
    }

    /// Somebody hears a question and does nothing.
    pub(crate) fn silence(self) -> Duration {
        self.pick(4000, 2)
    }

    /// A sentence is read aloud.
    pub(crate) fn says(self) -> Duration {
        self.pick(1000, 0)
    }

    /// A conversation.
    pub(crate) fn talks(self) -> Duration {
        self.pick(6000, 2)
    }

    /// A text message is on its way.
    pub(crate) fn text(self) -> Duration {
        self.pick(800, 1)
    }
}

impl FromStr for Pace {
    type Err = SandboxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "instant" => Ok(Self::Instant),
            "human" => Ok(Self::Human),
            _ => Err(SandboxError::UnknownPace(text.to_owned())),
        }
    }
}

/// How a sandbox is started. The default listens on a free port of this machine, with invented credentials.
#[derive(Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The telephone account: `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// Its secret: the password of requests and the key of callback signatures.
    pub auth_token: String,
    /// How fast people are.
    pub pace: Pace,
    /// The key that Gemini's endpoints ask for.
    pub gemini_key: String,
    /// Calls the account starts in a second, more wait in its queue; 0: no limit; `None`: 1 at human pace, else no limit.
    pub calls_per_second: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            account_sid: "AC5a4db0c0ffee00112233445566778899".to_owned(),
            auth_token: "5a4db0ca11ab1e001122334455667788".to_owned(),
            pace: Pace::Instant,
            gemini_key: "sandbox-gemini-key".to_owned(),
            calls_per_second: None,
        }
    }
}

impl Options {
    /// The time between two call starts, if there is a limit.
    pub(crate) fn call_interval(&self) -> Option<Duration> {
        let per_second = self.calls_per_second.unwrap_or(u32::from(self.pace == Pace::Human));
        (per_second > 0).then(|| Duration::from_secs(1) / per_second)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("bind", &self.bind)
            .field("account_sid", &self.account_sid)
            .field("pace", &self.pace)
            .field("calls_per_second", &self.calls_per_second)
            .finish_non_exhaustive()
    }
}

/// Why a sandbox does not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The client that posts callbacks cannot be built.
    #[error("cannot build the client for callbacks")]
    Client(#[source] reqwest::Error),
    /// Not a pace.
    #[error("unknown pace {0:?}: instant or human")]
    UnknownPace(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_queue_one_call_a_second_and_machines_do_not() {
        let human = Options { pace: Pace::Human, ..Options::default() };
        assert_eq!(human.call_interval(), Some(Duration::from_secs(1)));
        assert_eq!(Options::default().call_interval(), None);
        let limited = Options { calls_per_second: Some(20), ..Options::default() };
        assert_eq!(limited.call_interval(), Some(Duration::from_millis(50)));
    }

    #[test]
    fn a_printed_setting_shows_no_secret() {
        let options = Options::default();
        let shown = format!("{options:?}");
        assert!(!shown.contains(&options.auth_token) && !shown.contains(&options.gemini_key));
        assert_eq!(options.auth_token.len(), 32);
        assert_eq!(options.account_sid.len(), 34);
    }
}
