//! Whether the Postgres server answers: asked on a connection of its own, so that a server that is frozen or gone is known
//! within seconds, whatever the pool waits for.
//!
//! While it is away, statements under way are given up and new ones refused at once, and nobody but the task here opens a
//! connection: its return meets no storm, and the pool's own connections go on where they can.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::clock::jitter;
use crate::error::StorageError;

/// How often a server that answers is asked again.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long an answer may take; a server that is silent for longer is away.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a new connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The first and the longest pause before connecting again; up to half of it is added by lot.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Gauge: 1 while the database answers, else 0.
const UP: &str = "apex_database_up";

/// A file is always within reach.
pub(crate) fn no_server() {
    metrics::describe_gauge!(UP, "1 while the database answers, else 0");
    metrics::gauge!(UP).set(1);
}

/// What everybody who waits for the server looks at. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Reach(Arc<watch::Sender<bool>>);

impl Reach {
    /// Begins to ask, in a task that ends with `tasks`. Until the first failure the server counts as there.
    pub fn watch(options: PgConnectOptions, tasks: &mut JoinSet<()>) -> Self {
        metrics::describe_gauge!(UP, "1 while the database answers, else 0");
        let reach = Self(Arc::new(watch::Sender::new(false)));
        reach.tell(true);
        tasks.spawn(keep_asking(options, reach.clone()));
        reach
    }

    /// Whether the server is away just now.
    pub fn is_away(&self) -> bool {
        *self.0.borrow()
    }

    /// Does something with the server unless it is away, or goes away meanwhile: then nobody knows what came of it.
    ///
    /// # Errors
    ///
    /// `Away`, and what the work itself answers.
    pub async fn unless_away<T>(&self, work: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
        let mut away = self.0.subscribe();
        if *away.borrow_and_update() {
            return Err(StorageError::Away);
        }
        tokio::select! {
            biased;
            done = work => done,
            _ = away.wait_for(|away| *away) => Err(StorageError::Away),
        }
    }

    /// Waits for the server's return, at most so long.
    pub async fn back_within(&self, patience: Duration) {
        let mut away = self.0.subscribe();
        let _ = timeout(patience, away.wait_for(|away| !*away)).await;
    }

    fn tell(&self, up: bool) {
        metrics::gauge!(UP).set(f64::from(u8::from(up)));
        self.0.send_replace(!up);
    }
}

/// A question under way; the connection when it was answered.
type Asked = Pin<Box<dyn Future<Output = Option<PgConnection>> + Send>>;

/// What came of a question.
enum Heard {
    Answer(PgConnection),
    /// The server speaks, but gives us no connection: all are taken.
    Refusal,
    /// Nobody is there.
    Nothing,
    /// Nothing yet.
    Silence(Asked),
}

fn ask(mut line: PgConnection) -> Asked {
    Box::pin(async move { line.ping().await.is_ok().then_some(line) })
}

/// For ever.
async fn keep_asking(options: PgConnectOptions, reach: Reach) {
    let mut line = None;
    loop {
        let waiting = match listen(&options, line.take()).await {
            Heard::Answer(open) => {
                line = Some(open);
                sleep(ASK_EVERY).await;
                continue;
            }
            Heard::Refusal => {
                sleep(ASK_EVERY).await;
                continue;
            }
            Heard::Nothing => None,
            Heard::Silence(asked) => Some(asked),
        };
        reach.tell(false);
        tracing::error!("the database does not answer; nothing is accepted until it does");
        line = comes_back(&options, waiting).await;
        reach.tell(true);
        tracing::info!("the database answers again");
    }
}

/// Asks once. A broken connection alone is no sign: a new one may be had at once.
async fn listen(options: &PgConnectOptions, line: Option<PgConnection>) -> Heard {
    if let Some(open) = line {
        let mut asked = ask(open);
        match timeout(ANSWER_WITHIN, &mut asked).await {
            Ok(Some(answered)) => return Heard::Answer(answered),
            Ok(None) => {}
            Err(_) => return Heard::Silence(asked),
        }
    }
    connect(options).await
}

async fn connect(options: &PgConnectOptions) -> Heard {
    match timeout(CONNECT_WITHIN, PgConnection::connect_with(options)).await {
        Ok(Ok(line)) => Heard::Answer(line),
        Ok(Err(sqlx::Error::Database(error))) if !is_on_its_way(error.code().as_deref()) => Heard::Refusal,
        Ok(Err(_)) | Err(_) => Heard::Nothing,
    }
}

/// Whether the server says that it is starting or stopping.
fn is_on_its_way(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("57P"))
}

/// The first answer: to the old question, as after a thaw, or on a new connection.
async fn comes_back(options: &PgConnectOptions, waiting: Option<Asked>) -> Option<PgConnection> {
    let old = async {
        match waiting {
            Some(asked) => asked.await,
            None => None,
        }
    };
    tokio::select! {
        Some(line) = old => Some(line),
        line = connect_again(options) => line,
    }
}

async fn connect_again(options: &PgConnectOptions) -> Option<PgConnection> {
    let mut pause = PAUSE.0;
    loop {
        sleep(pause + pause * u32::from(jitter()) / 2_000).await;
        match connect(options).await {
            Heard::Answer(line) => return Some(line),
            Heard::Refusal => return None,
            Heard::Nothing | Heard::Silence(_) => {}
        }
        pause = (pause * 2).min(PAUSE.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(away: bool) -> Reach {
        Reach(Arc::new(watch::Sender::new(away)))
    }

    #[tokio::test]
    async fn work_is_given_up_when_the_server_goes_away_and_refused_while_it_is() {
        let there = reach(false);
        assert!(matches!(there.unless_away(async { Ok(7) }).await, Ok(7)));
        let gone = there.clone();
        let never = there.unless_away(async {
            gone.tell(false);
            std::future::pending::<Result<(), StorageError>>().await
        });
        assert!(matches!(never.await, Err(StorageError::Away)));
        assert!(there.is_away());
        let mut begun = false;
        let refused = there.unless_away(async {
            begun = true;
            Ok(())
        });
        assert!(matches!(refused.await, Err(StorageError::Away)));
        assert!(!begun);
    }

    #[test]
    fn a_server_that_speaks_is_there_unless_it_is_starting_or_stopping() {
        assert!(is_on_its_way(Some("57P03")) && is_on_its_way(Some("57P01")));
        assert!(!is_on_its_way(Some("53300")) && !is_on_its_way(None));
    }

    #[tokio::test]
    async fn who_waits_for_the_return_goes_on_with_it_and_no_longer_than_its_patience() {
        let gone = reach(true);
        gone.back_within(Duration::from_millis(1)).await;
        assert!(gone.is_away());
        let back = async {
            tokio::task::yield_now().await;
            gone.tell(true);
        };
        tokio::join!(gone.back_within(Duration::from_mins(10)), back);
        assert!(!gone.is_away());
    }
}
