//! A client of the demo: only what any client could do, over HTTP.

use anyhow::{Context, bail};
use reqwest::{Client, Response};
use serde_json::{Value, json};

/// Somebody who is signed in.
pub(super) struct Guest {
    http: Client,
    api: String,
    token: String,
}

/// One event of a ticket's stream.
pub(super) struct StreamEvent {
    pub name: String,
    pub data: Value,
}

/// A ticket's stream.
pub(super) struct Events {
    response: Response,
    buffer: Vec<u8>,
}

impl Guest {
    /// Signs up.
    pub async fn register(api: &str, email: &str, password: &str) -> anyhow::Result<Self> {
        let http = Client::builder().build()?;
        let body = json!({ "email": email, "password": password, "name": "Aroha", "organization": "Kereru Group" });
        let session = answer(http.post(format!("{api}/api/v1/auth/register")).json(&body).send().await?).await?;
        let token = session["access_token"].as_str().context("no access token")?.to_owned();
        Ok(Self { http, api: api.to_owned(), token })
    }

    /// Makes a project whose boss has this phone.
    pub async fn create_project(&self, id: &str, name: &str, boss: &str) -> anyhow::Result<Value> {
        let dna = json!({
            "identity": { "region": "NZ", "timezone": "Pacific/Auckland", "niche": "Plumbing" },
            "modules": { "lead_gen": { "sales_bridge": { "destination_phone": boss } } },
        });
        let body = json!({ "project_id": id, "business_name": name, "dna": dna });
        let request = self.http.post(format!("{}/api/v1/projects", self.api)).bearer_auth(&self.token).json(&body);
        answer(request.send().await?).await
    }

    /// Posts a lead form as Google Ads does: no sign-in, the key is in the body.
    pub async fn send_form(&self, project: &str, form: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/api/webhooks/google-ads?project_id={project}", self.api);
        answer(self.http.post(url).json(form).send().await?).await
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        answer(self.http.get(format!("{}{path}", self.api)).bearer_auth(&self.token).send().await?).await
    }

    /// Watches a ticket from its first event.
    pub async fn events(&self, context: &str) -> anyhow::Result<Events> {
        let url = format!("{}/api/v1/context/{context}/events", self.api);
        let response = self.http.get(url).bearer_auth(&self.token).send().await?.error_for_status()?;
        Ok(Events { response, buffer: Vec::new() })
    }
}

impl Events {
    /// The next event; `None` when the stream is over.
    pub async fn next(&mut self) -> anyhow::Result<Option<StreamEvent>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&block))? {
                    return Ok(Some(event));
                }
                continue;
            }
            match self.response.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// A block of a stream; `None` for comments.
fn parse(block: &str) -> anyhow::Result<Option<StreamEvent>> {
    let field = |name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned()))
    };
    let Some(data) = field("data") else { return Ok(None) };
    let name = field("event").unwrap_or_else(|| "message".to_owned());
    Ok(Some(StreamEvent { name, data: serde_json::from_str(&data)? }))
}

async fn answer(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let body: Value = response.json().await.context("the answer is not JSON")?;
    if !status.is_success() {
        bail!("the server answered {status}: {body}");
    }
    Ok(body)
}
