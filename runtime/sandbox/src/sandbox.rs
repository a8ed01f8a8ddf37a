//! A running sandbox.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::control::Incoming;
use crate::faults::Faults;
use crate::ledger::{Ledger, Summary};
use crate::options::{Options, SandboxError};
use crate::outside::Outside;
use crate::script::Script;
use crate::server;
use crate::twilio;

/// How long connections that a client keeps open may hold up the stop.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running sandbox. It ends with [`Sandbox::stop`], or when it is dropped.
pub struct Sandbox {
    addr: SocketAddr,
    outside: Arc<Outside>,
    server: JoinHandle<()>,
    stop: CancellationToken,
    _stopped_with_me: DropGuard,
}

impl Sandbox {
    /// Listens and serves from then on.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Bind`] when the address is taken.
    pub async fn start(options: Options) -> Result<Self, SandboxError> {
        let refused = |source| SandboxError::Bind { addr: options.bind, source };
        let listener = TcpListener::bind(options.bind).await.map_err(refused)?;
        let addr = listener.local_addr().map_err(refused)?;
        let stop = CancellationToken::new();
        let outside = Arc::new(Outside::new(options, format!("http://{}", reachable(addr)), stop.child_token())?);
        // The tracker is dropped here on purpose: the handle is what `stop` waits for.
        let server = TaskTracker::new().spawn(server::serve(listener, Arc::clone(&outside), stop.child_token()));
        let guard = stop.clone().drop_guard();
        Ok(Self { addr, outside, server, stop, _stopped_with_me: guard })
    }

    /// Where it is reached: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.outside.base().to_owned()
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Everything that reached the outside so far.
    pub fn ledger(&self) -> Ledger {
        self.outside.stage().book().ledger().clone()
    }

    /// Looks at the ledger without copying it; `look` should be short, as nothing is written meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(self.outside.stage().book().ledger())
    }

    /// What must not have happened, without copying the ledger: see [`Ledger::judge`].
    pub fn judge(&self) -> Vec<String> {
        self.read(Ledger::judge)
    }

    /// How much has happened, without copying the ledger.
    pub fn summary(&self) -> Summary {
        self.read(Ledger::summary)
    }

    /// The person behind `number` (E.164) acts by this script.
    pub fn script(&self, number: &str, script: Script) {
        self.outside.stage().set_scripts(number, vec![script]);
    }

    /// The person behind `number` acts by these scripts, one for each call; the last one stays.
    pub fn scripts(&self, number: &str, scripts: Vec<Script>) {
        self.outside.stage().set_scripts(number, scripts);
    }

    /// Everybody without a script of their own acts by this one.
    pub fn default_script(&self, script: Script) {
        self.outside.stage().set_default_script(script);
    }

    /// What goes wrong from now on; replaces the faults before.
    pub fn faults(&self, faults: Faults) {
        self.outside.stage().set_faults(faults);
    }

    /// Somebody calls our number; returns the sid of the call.
    pub fn incoming(&self, incoming: Incoming) -> String {
        twilio::incoming(&self.outside.stage(), incoming)
    }

    /// Begins anew: an empty ledger, no scripts, no faults. Calls in progress are cut off.
    pub fn reset(&self) {
        self.outside.reset();
    }

    /// Cuts off calls in progress, stops listening and waits until nothing runs any more.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.outside.drained().await;
        if tokio::time::timeout(PATIENCE, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

/// A wildcard address is reached through this machine.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (std::net::Ipv4Addr::LOCALHOST, addr.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, addr.port()).into(),
        _ => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_address_is_refused_and_a_stopped_one_is_free() {
        let first = Sandbox::start(Options::default()).await.unwrap();
        let options = Options { bind: first.addr(), ..Options::default() };
        let refused = Sandbox::start(options.clone()).await.err().unwrap();
        assert!(matches!(refused, SandboxError::Bind { .. }), "{refused}");
        first.stop().await;
        let second = Sandbox::start(options).await.unwrap();
        second.stop().await;
    }

    #[test]
    fn a_wildcard_address_is_reached_through_this_machine() {
        assert_eq!(reachable(([0, 0, 0, 0], 80).into()), ([127, 0, 0, 1], 80).into());
        assert_eq!(reachable(([10, 0, 0, 1], 80).into()), ([10, 0, 0, 1], 80).into());
    }
}
