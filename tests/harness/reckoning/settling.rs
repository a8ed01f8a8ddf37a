//! Waiting until nothing is left to be done.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::{Client, wait};

const UNFINISHED: [&str; 3] = ["accepted", "running", "waiting"];
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits until every ticket ended or is visibly held. What is not by then is found when the books are read.
pub(super) async fn settle(client: &Client, patience: Duration) {
    wait::asking_every(LOOK_EVERY, patience, async || is_settled(client).await.unwrap_or(false)).await;
}

/// `None` when an answer is missing: it is asked again.
async fn is_settled(client: &Client) -> Option<bool> {
    for state in UNFINISHED {
        let page = read(client, &format!("/tickets?state={state}&limit=200")).await?;
        if !page["next_cursor"].is_null() {
            return Some(false);
        }
        for ticket in page["data"].as_array()? {
            let timeline = read(client, &format!("/tickets/{}/timeline", ticket["id"].as_str()?)).await?;
            let mut effects = timeline["effects"].as_array()?.iter();
            // A held call waits for its text as well: it is settled when the boss was told.
            let is_held = effects.clone().any(|effect| effect["state"] == "held");
            let is_moving =
                effects.any(|effect| ["intended", "sending", "unknown"].iter().any(|s| effect["state"] == **s));
            if !is_held || is_moving {
                return Some(false);
            }
        }
    }
    Some(true)
}

async fn read(client: &Client, path: &str) -> Option<Value> {
    let request = client.request(Method::GET, &Client::v1(path));
    let (status, body) = client.try_send(request).await.ok()?;
    status.is_success().then_some(body)
}
