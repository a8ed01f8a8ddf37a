//! Serving connections. A client that is slow to say what it wants is let go, so that it costs a socket for a while and nothing
//! else; a client that comes back finds its connection open.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use apex_config::Server;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use axum::serve::Listener;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

/// Most headers of a request; more are answered with 431.
const MAX_HEADERS: usize = 100;
/// Largest request line with all headers, bytes; more is answered with 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Time between two questions whether an HTTP/2 client is still there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// How long a client may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the connection to the first request.
    first: Duration,
    /// From an answer to the next request.
    next: Duration,
}

impl Patience {
    /// The patience that the settings ask for.
    pub(crate) fn of(server: &Server) -> Self {
        Self { first: server.head_within, next: server.keep_alive }
    }
}

/// Serves a listener until `stop`; then open requests end and `tasks` is empty.
pub(crate) fn serve(
    tasks: &TaskTracker,
    stop: &CancellationToken,
    mut listener: TcpListener,
    router: Router,
    patience: Patience,
) {
    let (guests, stop) = (tasks.clone(), stop.clone());
    tasks.spawn(async move {
        let server = server(patience);
        loop {
            let (stream, peer) = tokio::select! {
                () = stop.cancelled() => return,
                // Where no socket is left it waits a second and tries again.
                accepted = Listener::accept(&mut listener) => accepted,
            };
            // Stream events are small: without this the kernel keeps one back until the one before it is acknowledged (40 ms).
            drop(stream.set_nodelay(true));
            let guest = Guest { router: router.clone(), peer, has_asked: Arc::default() };
            guests.spawn(attend(server.clone(), stream, guest, stop.clone(), patience.first));
        }
    });
}

fn server(patience: Patience) -> Builder<TokioExecutor> {
    let mut server = Builder::new(TokioExecutor::new());
    // The same timer runs while a connection rests between two requests.
    server.http1().timer(TokioTimer::new()).header_read_timeout(patience.next);
    server.http1().max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD_BYTES);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(PING_EVERY).keep_alive_timeout(PING_EVERY);
    server
}

/// Serves one connection until it ends.
async fn attend(
    server: Builder<TokioExecutor>,
    stream: TcpStream,
    guest: Guest,
    stop: CancellationToken,
    first: Duration,
) {
    let has_asked = Arc::clone(&guest.has_asked);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(guest)));
    let mut waiting = pin!(tokio::time::sleep(first));
    let (mut is_known, mut is_stopping) = (false, false);
    loop {
        tokio::select! {
            // An error here is the client's: it left, or speaks no HTTP.
            _ = connection.as_mut() => return,
            () = &mut waiting, if !is_known => {
                is_known = has_asked.load(Ordering::Relaxed);
                if !is_known {
                    return;
                }
            }
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// The router for one client: every request knows where it comes from.
#[derive(Clone)]
struct Guest {
    router: Router,
    peer: SocketAddr,
    has_asked: Arc<AtomicBool>,
}

impl<B> Service<Request<B>> for Guest
where
    Router: Service<Request<B>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.has_asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        self.router.call(request)
    }
}
