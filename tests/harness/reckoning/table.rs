//! The table that a run ends with.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::time::Duration;

use apex_sandbox::Ledger;
use chrono::{DateTime, Utc};

use super::Reckoning;
use super::books::Books;
use crate::ordeal::Deaths;

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was counted.
    pub label: String,
    /// How much.
    pub value: String,
    /// Whether it must be 0.
    pub is_promise: bool,
}

/// The reckonings side by side, as Markdown. What must be 0 is marked.
pub fn table(columns: &[(&str, &Reckoning)]) -> String {
    let mut labels: Vec<(&str, bool)> = Vec::new();
    for row in columns.iter().flat_map(|(_, reckoning)| &reckoning.rows) {
        if !labels.iter().any(|(label, _)| *label == row.label) {
            labels.push((&row.label, row.is_promise));
        }
    }
    let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
    let mut text = format!("| | {} |\n|---|{}\n", names.join(" | "), "---:|".repeat(columns.len()));
    for (label, is_promise) in labels {
        let cells = columns.iter().map(|(_, reckoning)| {
            let row = reckoning.rows.iter().find(|row| row.label == label);
            row.map_or("", |row| row.value.as_str())
        });
        let cells = cells.collect::<Vec<_>>().join(" | ");
        let label = if is_promise { format!("**{label}** (must be 0)") } else { label.to_owned() };
        writeln!(text, "| {label} | {cells} |").expect("writing to a String cannot fail");
    }
    text
}

impl Reckoning {
    /// How tickets ended.
    pub(super) fn ends(&mut self, books: &Books) {
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        for ticket in books.tickets() {
            let state = ticket.body["state"].as_str().unwrap_or_default();
            *ends.entry(format!("Tickets {state}, {}", ticket.outcome())).or_default() += 1;
        }
        for (end, count) in ends {
            self.row(&end, &count);
        }
        self.row("Tickets with something held", &books.tickets().filter(|ticket| ticket.is_held()).count());
        match books.dead_letters {
            Some(count) => self.row("Dead letters", &count),
            None => self.row("Dead letters", &"not listed"),
        }
    }

    /// From the acceptance of a lead to the call at the provider.
    pub(super) fn latencies(&mut self, books: &Books, ledger: &Ledger) {
        let placed: HashMap<_, _> = ledger.calls.iter().map(|call| (call.sid.as_str(), call.created_at)).collect();
        let mut waits = Vec::new();
        for ticket in books.tickets() {
            let Some(placed) = ticket.sids("call").find_map(|sid| placed.get(sid)) else { continue };
            let accepted = ticket.body["created_at"].as_str().and_then(|at| at.parse::<DateTime<Utc>>().ok());
            let Some(accepted) = accepted else { continue };
            waits.push((*placed - accepted).to_std().unwrap_or_default());
        }
        self.row("Milliseconds from acceptance to dialling, median and 99 %", &quantiles(waits));
    }

    /// How often the program died, and how fast it came back.
    pub(super) fn deaths(&mut self, deaths: &Deaths) {
        self.row("Deaths by kill -9", &deaths.killed);
        self.row("Deaths at a fault point", &deaths.planted);
        self.row("Milliseconds until ready again, median and 99 %", &quantiles(deaths.restarts.clone()));
    }

    /// What the outside has seen.
    pub(super) fn outside(&mut self, ledger: &Ledger) {
        let so_far = ledger.summary();
        self.row("Calls placed, customers rung", &format!("{}, {}", so_far.calls, so_far.legs));
        self.row("Text messages sent", &so_far.messages);
        let callbacks = &ledger.callbacks;
        let [lost, doubled, late, reordered] =
            [callbacks.lost, callbacks.doubled, callbacks.late, callbacks.reordered].map(|count| count.to_string());
        self.row("Callbacks posted", &callbacks.sent);
        self.row("Callbacks lost, doubled, late, out of order", &[lost, doubled, late, reordered].join(", "));
        self.row("Callbacks that reached nobody", &callbacks.failed.len());
        self.row("Scripts that nobody was there to give", &ledger.unreachable.len());
    }
}

/// The median and the 99th percentile, milliseconds.
fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).map_or_else(|| "none".to_owned(), |time| time.as_millis().to_string())
    };
    format!("{}, {}", at(50), at(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reckonings_stand_side_by_side_and_what_must_be_zero_is_marked() {
        let mut left = Reckoning::default();
        left.row("Leads sent", &3);
        left.promise("Lost", vec!["lead-1".to_owned()]);
        let mut right = Reckoning::default();
        right.promise("Lost", Vec::new());
        let text = table(&[("sqlite", &left), ("postgres", &right)]);
        assert_eq!(
            text,
            "| | sqlite | postgres |\n|---|---:|---:|\n| Leads sent | 3 |  |\n| **Lost** (must be 0) | 1 | 0 |\n"
        );
        assert_eq!(left.broken, ["Lost: lead-1"]);
    }

    #[test]
    fn quantiles_are_taken_from_the_sorted_times() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantiles(times), "51, 100");
        assert_eq!(quantiles(Vec::new()), "none, none");
    }
}
