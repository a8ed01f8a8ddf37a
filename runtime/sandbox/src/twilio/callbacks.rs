//! Callbacks: posted in order for each leg, unless a fault says otherwise.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::faults::CallbackKind;
use crate::ledger::{Callbacks, FailedCallback};
use crate::stage::Stage;
use crate::twilio::form::Params;
use crate::twilio::request::{Link, Silence};

/// One callback to be posted.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub kind: CallbackKind,
    pub event: &'static str,
    /// The number called or written to.
    pub about: String,
    pub link: Link,
    pub params: Params,
}

/// Posts callbacks one after the other; what was given to it is posted also when it is dropped.
pub(crate) struct Lane(UnboundedSender<Delivery>);

impl Lane {
    pub(crate) fn open(stage: &Arc<Stage>) -> Self {
        let (sender, receiver) = unbounded_channel();
        stage.spawn(run(Arc::clone(stage), receiver));
        Self(sender)
    }

    pub(crate) fn post(&self, delivery: Delivery) {
        // The lane ends before its sender only when the stage is over: then nobody listens.
        let _ = self.0.send(delivery);
    }
}

async fn run(stage: Arc<Stage>, mut deliveries: UnboundedReceiver<Delivery>) {
    let mut held: Option<Delivery> = None;
    while let Some(delivery) = deliveries.recv().await {
        let fate = stage.faults().fate(delivery.kind, delivery.event, &delivery.about);
        if fate.lost {
            count(&stage, |callbacks| callbacks.lost += 1);
            continue;
        }
        if fate.reordered && held.is_none() {
            count(&stage, |callbacks| callbacks.reordered += 1);
            held = Some(delivery);
            continue;
        }
        if fate.late_ms > 0 {
            count(&stage, |callbacks| callbacks.late += 1);
            let late = Duration::from_millis(fate.late_ms);
            stage.spawn(deliver_later(Arc::clone(&stage), delivery, late, fate.doubled));
        } else {
            deliver(&stage, &delivery, fate.doubled).await;
        }
        if let Some(earlier) = held.take() {
            deliver(&stage, &earlier, false).await;
        }
    }
    if let Some(last) = held {
        deliver(&stage, &last, false).await;
    }
}

async fn deliver_later(stage: Arc<Stage>, delivery: Delivery, late: Duration, doubled: bool) {
    tokio::time::sleep(late).await;
    deliver(&stage, &delivery, doubled).await;
}

async fn deliver(stage: &Stage, delivery: &Delivery, doubled: bool) {
    if doubled {
        count(stage, |callbacks| callbacks.doubled += 1);
        post(stage, delivery).await;
    }
    post(stage, delivery).await;
}

/// Any 2xx is an answer; nothing else is tried again.
async fn post(stage: &Stage, delivery: &Delivery) {
    count(stage, |callbacks| callbacks.sent += 1);
    let status = match stage.ask(&delivery.link, &delivery.params).await {
        Ok(answer) if (200..300).contains(&answer.status) => return,
        Ok(answer) => answer.status,
        Err(Silence::Unreachable(reason)) => {
            tracing::debug!(%reason, "a callback reached nobody");
            0
        }
        Err(Silence::Cut) => 0,
    };
    count(stage, |callbacks| callbacks.failed.push(FailedCallback { url: delivery.link.url.clone(), status }));
}

fn count(stage: &Stage, change: impl FnOnce(&mut Callbacks)) {
    change(&mut stage.book().ledger_mut().callbacks);
}
