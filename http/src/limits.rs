//! How much of it one may have: requests by address and by organisation, attempts to sign in, and requests in hand of the node.
//!
//! Everything is counted in the memory of this node and forgotten with it. What proves where it comes from is never refused here:
//! leads with the key of their project and signed callbacks are not even counted.

mod bucket;
mod crowd;
mod guard;
mod patience;
mod tally;

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use apex_storage::model::OrgId;

use self::bucket::{Bucket, Rate, Taken};
use self::crowd::Crowd;
use self::patience::Attempts;
use crate::auth::token;
use crate::error::ApiError;
use crate::metrics;

pub(crate) use guard::{HEADERS, guard};

/// Requests that a quiet address may send at once, in seconds of its rate.
const ADDRESS_BURST_S: u32 = 4;
/// The same for an organisation.
const ORGANIZATION_BURST_S: u32 = 2;
/// The part of an IPv6 address that one customer of a provider has for itself.
const V6_NETWORK: u128 = !(u64::MAX as u128);

/// The limits; 0 switches one off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests of an organisation, each second; twice as many at once.
    pub organization_per_second: u32,
    /// Requests without a valid token from one address, each second; four times as many at once. 0 also leaves attempts to sign
    /// in uncounted by address.
    pub address_per_second: u32,
    /// Attempts to sign in from one address, and with one e-mail address, each minute.
    pub logins_per_minute: u32,
    /// Requests in hand of the whole node.
    pub requests_in_hand: usize,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    Address,
    Organization,
    LoginAddress,
    LoginEmail,
}

impl Tier {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Organization => "organization",
            Self::LoginAddress => "login_address",
            Self::LoginEmail => "login_email",
        }
    }
}

/// The counts of a node.
pub(crate) struct Limits {
    begun: Instant,
    organization: Option<Rate>,
    organizations: Crowd<OrgId, Bucket>,
    address: Option<Rate>,
    addresses: Crowd<IpAddr, Bucket>,
    login: Option<Rate>,
    login_addresses: Crowd<IpAddr, Bucket>,
    login_emails: Crowd<[u8; 32], Attempts>,
    most_in_hand: usize,
    in_hand: AtomicUsize,
}

impl Limits {
    /// Nobody has asked for anything yet. `begun`: now, by the clock that every later time is told by.
    pub fn new(rates: Rates, begun: Instant) -> Self {
        let Rates { organization_per_second, address_per_second, logins_per_minute, requests_in_hand } = rates;
        Self {
            begun,
            organization: Rate::per_second(organization_per_second, ORGANIZATION_BURST_S),
            organizations: Crowd::new(),
            address: Rate::per_second(address_per_second, ADDRESS_BURST_S),
            addresses: Crowd::new(),
            login: Rate::per_minute(logins_per_minute),
            login_addresses: Crowd::new(),
            login_emails: Crowd::new(),
            most_in_hand: requests_in_hand,
            in_hand: AtomicUsize::new(0),
        }
    }

    /// Counts a request of an organisation, once.
    ///
    /// # Errors
    ///
    /// 429 when it has had its share.
    pub fn organization(&self, org: OrgId, now: Instant) -> Result<(), ApiError> {
        if tally::known() {
            return Ok(());
        }
        let (Some(rate), now) = (self.organization, self.since(now)) else { return Ok(()) };
        told(Tier::Organization, self.organizations.with(org, now, |bucket| bucket.take(rate, now)))
    }

    /// Counts an attempt to sign in with this e-mail address. What was counted before is forgotten by [`Self::signed_in`].
    ///
    /// # Errors
    ///
    /// 429 when there were too many.
    pub fn sign_in(&self, email: &str, now: Instant) -> Result<(), ApiError> {
        let (Some(rate), now) = (self.login, self.since(now)) else { return Ok(()) };
        told(Tier::LoginEmail, self.login_emails.with(token::hash(email), now, |attempts| attempts.take(rate, now)))
    }

    /// The password was right.
    pub fn signed_in(&self, email: &str) {
        self.login_emails.forget(&token::hash(email));
    }

    /// Counts a request without a valid token.
    fn address(&self, address: IpAddr, now: Instant) -> Result<(), ApiError> {
        let (Some(rate), now) = (self.address, self.since(now)) else { return Ok(()) };
        told(Tier::Address, self.addresses.with(network(address), now, |bucket| bucket.take(rate, now)))
    }

    /// Counts an attempt to sign in, up or on from this address.
    fn login_address(&self, address: IpAddr, now: Instant) -> Result<(), ApiError> {
        let (Some(rate), now) = (self.login_by_address(), self.since(now)) else { return Ok(()) };
        told(Tier::LoginAddress, self.login_addresses.with(network(address), now, |bucket| bucket.take(rate, now)))
    }

    /// Takes the count back: the attempt was no wrong one.
    fn excuse(&self, address: IpAddr, now: Instant) {
        let (Some(rate), now) = (self.login_by_address(), self.since(now)) else { return };
        self.login_addresses.with(network(address), now, |bucket| bucket.give_back(rate));
    }

    fn login_by_address(&self) -> Option<Rate> {
        self.address.and(self.login)
    }

    /// Takes a request in hand. `None`: there are too many, and this one may be refused.
    fn enter(&self, may_be_refused: bool) -> Option<InHand<'_>> {
        let before = self.in_hand.fetch_add(1, Ordering::Relaxed);
        let entered = InHand(&self.in_hand);
        if may_be_refused && before >= self.most_in_hand {
            metrics::rate_limited("node");
            return None;
        }
        Some(entered)
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
    }
}

/// A request in hand until it is dropped.
struct InHand<'a>(&'a AtomicUsize);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Remembers the count for the head of the answer.
fn told(tier: Tier, taken: Taken) -> Result<(), ApiError> {
    tally::note(taken);
    let Some(wait) = taken.wait else { return Ok(()) };
    metrics::rate_limited(tier.as_str());
    Err(ApiError::rate_limited(whole_seconds(wait)))
}

/// Never less than it takes.
fn whole_seconds(time: Duration) -> u32 {
    let more = u64::from(time.subsec_nanos() > 0);
    u32::try_from(time.as_secs().saturating_add(more)).unwrap_or(u32::MAX)
}

/// What one customer of a provider has for itself: an address, or a /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & V6_NETWORK).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rates: Rates) -> (Limits, Instant) {
        let begun = Instant::now();
        (Limits::new(rates, begun), begun)
    }

    #[test]
    fn an_organisation_has_its_own_share() {
        let (limits, now) = limits(Rates { organization_per_second: 2, ..Rates::default() });
        let (busy, quiet) = (OrgId::new(), OrgId::new());
        let through = (0..10).filter(|_| limits.organization(busy, now).is_ok()).count();
        assert_eq!(through, 4);
        assert!(limits.organization(quiet, now).is_ok());
        assert!(limits.organization(busy, now + Duration::from_millis(500)).is_ok());
    }

    #[test]
    fn a_limit_of_nothing_is_none() {
        let (limits, now) = limits(Rates::default());
        let address = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..1000 {
            assert!(limits.address(address, now).is_ok() && limits.login_address(address, now).is_ok());
            assert!(limits.organization(OrgId(uuid::Uuid::nil()), now).is_ok());
            assert!(limits.sign_in("a@b.example", now).is_ok());
        }
    }

    #[test]
    fn a_node_behind_a_proxy_counts_no_attempts_by_address() {
        let (limits, now) = limits(Rates { logins_per_minute: 1, ..Rates::default() });
        let proxy = IpAddr::from([10, 0, 0, 1]);
        assert!((0..10).all(|_| limits.login_address(proxy, now).is_ok()));
        assert!(limits.sign_in("a@b.example", now).is_ok());
        assert!(limits.sign_in("a@b.example", now).is_err());
    }

    #[test]
    fn the_right_password_clears_what_was_counted() {
        let (limits, now) = limits(Rates { logins_per_minute: 2, ..Rates::default() });
        let attempt = || limits.sign_in("a@b.example", now).is_ok();
        assert!(attempt() && attempt() && !attempt());
        limits.signed_in("a@b.example");
        assert!(attempt());
    }

    #[test]
    fn an_attempt_that_was_right_is_not_counted_by_address() {
        let rates = Rates { logins_per_minute: 2, address_per_second: 1, ..Rates::default() };
        let (limits, now) = limits(rates);
        let address = IpAddr::from([203, 0, 113, 9]);
        for _ in 0..50 {
            assert!(limits.login_address(address, now).is_ok());
            limits.excuse(address, now);
        }
        assert!(limits.login_address(address, now).is_ok() && limits.login_address(address, now).is_ok());
        assert!(limits.login_address(address, now).is_err());
    }

    #[test]
    fn a_full_node_refuses_what_may_be_refused() {
        let (limits, _) = limits(Rates { requests_in_hand: 2, ..Rates::default() });
        let (first, _second) = (limits.enter(true).unwrap(), limits.enter(true).unwrap());
        assert!(limits.enter(true).is_none());
        let lead = limits.enter(false).unwrap();
        drop(first);
        assert!(limits.enter(true).is_none(), "what is never refused counts too");
        drop(lead);
        assert!(limits.enter(true).is_some());
        assert_eq!(limits.in_hand.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_customer() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_eq!(of("::ffff:203.0.113.9"), of("203.0.113.9"));
        assert_ne!(of("203.0.113.8"), of("203.0.113.9"));
    }

    #[test]
    fn told_seconds_are_never_too_few() {
        assert_eq!(whole_seconds(Duration::from_nanos(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds(Duration::from_millis(2001)), 3);
        assert_eq!(whole_seconds(Duration::MAX), u32::MAX);
    }
}
