//! The senders of lead forms, who send again until they are answered, and now and then once more.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;

use super::{Business, Plan, Progress, customer};
use crate::dice::Dice;
use crate::{Client, GoogleLead, wait};

/// A form that was not answered is sent again after this.
const AGAIN: Duration = Duration::from_millis(200);
/// A sender whose form was not accepted by then gives up.
const PATIENCE: Duration = Duration::from_mins(2);
/// Of a hundred accepted forms, so many come once more.
const REPEATED: u64 = 10;

/// One lead, and what its sender was told.
#[derive(Clone, Debug)]
pub struct SentLead {
    /// Its number.
    pub nth: usize,
    /// Where in the list of businesses.
    pub business: usize,
    /// The customer's phone.
    pub phone: String,
    /// The context that it was accepted under; `None`: the sender gave up.
    pub context: Option<String>,
    /// The context that it was told when it was sent once more, where that is another one.
    pub other_context: Option<String>,
}

impl Plan {
    /// Sends every lead, at a steady rate whatever the program does.
    pub(super) async fn send_all(
        &self,
        client: &Client,
        businesses: &[Business],
        progress: &Progress,
    ) -> Vec<SentLead> {
        let leads = u32::try_from(self.leads.max(1)).unwrap_or(u32::MAX);
        let tick = tokio::time::interval((self.lasts / leads).max(Duration::from_micros(1)));
        let due = stream::unfold((tick, 0), async |(mut tick, nth)| {
            tick.tick().await;
            Some((nth, (tick, nth + 1)))
        });
        let mut dice = Dice::new(self.seed ^ 0x1ead);
        let sending = due.take(self.leads).map(|nth| {
            let (business, again) = (nth % businesses.len(), dice.percent(REPEATED));
            progress.sent.fetch_add(1, Ordering::Relaxed);
            send(client, &businesses[business], nth, business, again)
        });
        let accepted = sending.buffer_unordered(self.leads.max(1)).inspect(|lead| {
            progress.accepted.fetch_add(usize::from(lead.context.is_some()), Ordering::Relaxed);
        });
        let mut sent: Vec<SentLead> = accepted.collect().await;
        sent.sort_by_key(|lead| lead.nth);
        sent
    }
}

async fn send(client: &Client, business: &Business, nth: usize, place: usize, again: bool) -> SentLead {
    let phone = customer(nth);
    let lead = GoogleLead::new(&format!("lead-{nth}"), &phone).name(&format!("Customer {nth}"));
    let offer = async || client.offer(&business.project, &lead).await;
    let context = wait::asking_every(AGAIN, PATIENCE, offer).await;
    let repeated = if again { wait::asking_every(AGAIN, PATIENCE, offer).await } else { None };
    let other_context = repeated.filter(|repeated| context.as_ref() != Some(repeated));
    SentLead { nth, business: place, phone, context, other_context }
}
