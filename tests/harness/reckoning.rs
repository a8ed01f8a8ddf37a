//! What of the promises was kept, told from outside: what senders were told, what the program says of itself, and the
//! ledger of the sandbox, which is the judge.

mod books;
mod charges;
mod settling;
mod table;
mod verdicts;

use std::time::{Duration, Instant};

use apex_sandbox::Ledger;

pub use books::{Books, Ticket};
pub use table::{Row, table};

use crate::ordeal::{Progress, Survivor};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Reckoning {
    /// The table: what was counted.
    pub rows: Vec<Row>,
    /// Each broken promise in words, with its ids.
    pub broken: Vec<String>,
    /// Tickets that broken promises are about.
    pub suspects: Vec<String>,
}

/// Waits until every ticket ended or is visibly held, at most for `patience`, reads everything and judges it.
///
/// # Panics
///
/// When the program does not answer what it is asked.
pub async fn reckon(survivor: &Survivor, patience: Duration, progress: &Progress) -> Reckoning {
    let began = Instant::now();
    progress.enter("settling");
    settling::settle(&survivor.client, patience).await;
    let settled = began.elapsed();
    progress.enter("reading the books");
    let books = Books::read(survivor).await;
    progress.enter("replaying");
    let replay = books::replay_all(&survivor.client, &books).await;
    progress.enter("judging");
    let mut reckoning = survivor.sandbox.read(|ledger| judge(survivor, &books, ledger));
    reckoning.replayed(&replay);
    reckoning.row("Minutes of sending and killing, of settling", &minutes(&[survivor.took, settled]));
    reckoning
}

fn judge(survivor: &Survivor, books: &Books, ledger: &Ledger) -> Reckoning {
    let mut reckoning = Reckoning::default();
    let accepted = survivor.sent.iter().filter(|lead| lead.context.is_some()).count();
    reckoning.row("Leads sent", &survivor.sent.len());
    reckoning.row("Leads accepted", &accepted);
    reckoning.promise("Accepted leads lost, or stored twice", verdicts::lost(&survivor.sent, books));
    reckoning.promise("Bosses or customers called twice", verdicts::called_twice(&survivor.sent, books, ledger));
    reckoning.promise("Text messages sent twice", verdicts::texted_twice(ledger));
    reckoning.promise("Charges that are wrong or double", charges::wrong(books, ledger));
    reckoning.promise("Tickets neither ended nor visibly held", verdicts::unended(books));
    reckoning.promise("Journals with gaps or repeats", verdicts::torn(books));
    reckoning.promise("Rules of the telephone provider broken", ledger.violations.clone());
    reckoning.ends(books);
    reckoning.latencies(books, ledger);
    reckoning.deaths(&survivor.deaths);
    reckoning.outside(ledger);
    reckoning.suspect(books);
    reckoning
}

fn minutes(times: &[Duration]) -> String {
    let shown = times.iter().map(|time| format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60));
    shown.collect::<Vec<_>>().join(", ")
}

impl Reckoning {
    fn row(&mut self, label: &str, value: &impl ToString) {
        self.rows.push(Row { label: label.to_owned(), value: value.to_string(), is_promise: false });
    }

    /// A row that must be 0.
    fn promise(&mut self, label: &str, broken: Vec<String>) {
        self.rows.push(Row { label: label.to_owned(), value: broken.len().to_string(), is_promise: true });
        self.broken.extend(broken.into_iter().map(|what| format!("{label}: {what}")));
    }

    /// Replays that could not be asked for count as not checked, never as equal.
    fn replayed(&mut self, replay: &books::Replay) {
        let label = "Dry replays that reach another state";
        match replay {
            books::Replay::Missing => self.row(label, &"not checked"),
            books::Replay::Done { different, .. } => self.promise(label, different.clone()),
        }
        if let books::Replay::Done { same, .. } = replay {
            self.row("Dry replays that reach the recorded state", same);
        }
    }

    /// Every ticket that a broken promise names by its id.
    fn suspect(&mut self, books: &Books) {
        let named = |ticket: &&Ticket| self.broken.iter().any(|what| what.contains(&ticket.id));
        self.suspects = books.tickets().filter(named).map(|ticket| ticket.id.clone()).collect();
    }
}
