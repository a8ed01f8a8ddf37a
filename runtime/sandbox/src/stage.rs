//! What is played until the next reset: the ledger, the people, the faults and the tasks that belong to them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::book::Book;
use crate::faults::{FaultBox, Faults};
use crate::options::{Options, Pace};
use crate::script::Script;
use crate::twilio::Order;

/// One run between two resets. Everything that happens holds the stage it happens on, so that nothing of the last run
/// is written into the next.
pub(crate) struct Stage {
    pub options: Arc<Options>,
    /// Where this sandbox is reached, without a slash at the end.
    pub base: Arc<str>,
    pub http: reqwest::Client,
    /// Cancelled by the next reset and by the stop.
    pub over: CancellationToken,
    tracker: TaskTracker,
    book: Mutex<Book>,
    people: Mutex<People>,
    faults: Mutex<FaultBox>,
    orders: Mutex<HashMap<String, UnboundedSender<Order>>>,
    next_start: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct People {
    scripts: HashMap<String, VecDeque<Arc<Script>>>,
    others: Arc<Script>,
}

impl Stage {
    pub(crate) fn new(
        options: Arc<Options>,
        base: Arc<str>,
        http: reqwest::Client,
        tracker: TaskTracker,
        over: CancellationToken,
    ) -> Self {
        Self {
            options,
            base,
            http,
            over,
            tracker,
            book: Mutex::default(),
            people: Mutex::default(),
            faults: Mutex::default(),
            orders: Mutex::default(),
            next_start: Mutex::default(),
        }
    }

    pub(crate) fn pace(&self) -> Pace {
        self.options.pace
    }

    /// Runs a task until it ends or the stage is over.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let over = self.over.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = task => {}
            }
        });
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.book)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultBox> {
        locked(&self.faults)
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.faults() = FaultBox::new(faults);
    }

    /// Notes a broken rule.
    pub(crate) fn violation(&self, text: String) {
        tracing::warn!(violation = %text, "the program under test broke a rule of the outside");
        self.book().ledger_mut().violations.push(text);
    }

    /// The person behind `number` acts by these scripts, one for each call; the last one stays.
    pub(crate) fn set_scripts(&self, number: &str, scripts: Vec<Script>) {
        let scripts: VecDeque<_> = scripts.into_iter().map(Arc::new).collect();
        locked(&self.people).scripts.insert(number.to_owned(), scripts);
    }

    /// Everybody without a script of their own acts by this one.
    pub(crate) fn set_default_script(&self, script: Script) {
        locked(&self.people).others = Arc::new(script);
    }

    /// How the person behind `number` acts at the next call, which uses up one script of several.
    pub(crate) fn script_for_call(&self, number: &str) -> Arc<Script> {
        let mut people = locked(&self.people);
        let others = Arc::clone(&people.others);
        match people.scripts.get_mut(number) {
            Some(scripts) if scripts.len() > 1 => scripts.pop_front().unwrap_or(others),
            Some(scripts) => scripts.front().cloned().unwrap_or(others),
            None => others,
        }
    }

    /// How the person behind `number` acts now.
    pub(crate) fn script_of(&self, number: &str) -> Arc<Script> {
        let people = locked(&self.people);
        people.scripts.get(number).and_then(|scripts| scripts.front()).unwrap_or(&people.others).clone()
    }

    /// Opens the way for orders to a running call.
    pub(crate) fn listen(&self, sid: &str) -> UnboundedReceiver<Order> {
        let (sender, receiver) = unbounded_channel();
        locked(&self.orders).insert(sid.to_owned(), sender);
        receiver
    }

    pub(crate) fn stop_listening(&self, sid: &str) {
        locked(&self.orders).remove(sid);
    }

    /// Gives an order to a running call; `false`: it is over.
    pub(crate) fn order(&self, sid: &str, order: Order) -> bool {
        locked(&self.orders).get(sid).is_some_and(|sender| sender.send(order).is_ok())
    }

    /// How long the next call waits until the account may start it. Takes the turn.
    pub(crate) fn take_turn(&self) -> Duration {
        let Some(interval) = self.options.call_interval() else { return Duration::ZERO };
        let mut next = locked(&self.next_start);
        let now = Instant::now();
        let start = next.map_or(now, |next| next.max(now));
        *next = Some(start + interval);
        start - now
    }
}

/// A new id: two letters and 32 hexadecimal digits.
pub(crate) fn new_sid(prefix: &str) -> String {
    format!("{prefix}{}", Uuid::new_v4().simple())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
