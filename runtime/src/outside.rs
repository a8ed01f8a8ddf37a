//! Which outside the program is on: real providers, or the sandbox.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use apex_actors::ports::{Llm, Ports};
use apex_config::{Config, Llm as LlmSettings};
use apex_sandbox::{Options, Pace as SandboxPace, Sandbox};
use secrecy::SecretString;
use url::Url;

use crate::cli::Pace;
use crate::providers::llm::{GeminiModel, NoModel};
use crate::providers::twilio::{TwilioClient, TwilioSettings};

/// The sandbox's own number, in a range that is never assigned.
pub(crate) const SANDBOX_NUMBER: &str = "+6498889002";
/// Where the provider is when no setting says otherwise.
const TWILIO: &str = "https://api.twilio.com";

/// The outside, ready for use.
pub(crate) struct Outside {
    pub ports: Ports,
    pub telephone: Telephone,
    /// Played by ourselves; lives as long as the program.
    pub sandbox: Option<Sandbox>,
}

/// The telephone account that callbacks are checked against.
#[derive(Clone)]
pub(crate) struct Telephone {
    pub account_sid: String,
    pub auth_token: SecretString,
    pub number: String,
}

/// What the sandbox is started with; the same invented account everywhere.
pub(crate) fn sandbox_options(bind: SocketAddr, pace: Pace) -> Options {
    let pace = match pace {
        Pace::Instant => SandboxPace::Instant,
        Pace::Human => SandboxPace::Human,
    };
    Options { bind, pace, ..Options::default() }
}

/// The settings that put a server on a sandbox, one a line.
pub(crate) fn environment(url: &str) -> String {
    let options = Options::default();
    format!(
        "  TWILIO_ACCOUNT_SID={}\n  TWILIO_AUTH_TOKEN={}\n  TWILIO_PHONE_NUMBER={SANDBOX_NUMBER}\n  TWILIO_API_URL={url}\n  \
         GOOGLE_API_KEY={}\n  GEMINI_API_URL={url}/v1beta/",
        options.account_sid, options.auth_token, options.gemini_key
    )
}

/// Connects to the providers that are set up; outside production, plays them when there is no telephone account.
pub(crate) async fn open(config: &Config, pace: Pace) -> anyhow::Result<Outside> {
    let twilio = &config.twilio;
    if let (Some(sid), Some(token), Some(number)) = (&twilio.account_sid, &twilio.auth_token, &twilio.phone_number) {
        let telephone = Telephone { account_sid: sid.clone(), auth_token: token.clone(), number: number.clone() };
        let base = twilio.api_url.clone().map_or_else(|| TWILIO.parse().context("a constant"), Ok)?;
        return Ok(Outside { ports: ports(&telephone, base, model(&config.llm)?)?, telephone, sandbox: None });
    }
    if config.environment.is_production() {
        bail!(
            "production needs a telephone account: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_PHONE_NUMBER"
        );
    }
    let sandbox = Sandbox::start(sandbox_options(([127, 0, 0, 1], 0).into(), pace)).await?;
    let options = Options::default();
    let telephone = Telephone {
        account_sid: options.account_sid,
        auth_token: options.auth_token.into(),
        number: SANDBOX_NUMBER.to_owned(),
    };
    let url: Url = sandbox.url().parse()?;
    let model: Arc<dyn Llm> = match &config.llm.google_api_key {
        Some(_) => model(&config.llm)?,
        None => Arc::new(gemini(&config.llm, options.gemini_key.into(), Some(url.join("/v1beta/")?))?),
    };
    Ok(Outside { ports: ports(&telephone, url, model)?, telephone, sandbox: Some(sandbox) })
}

fn ports(telephone: &Telephone, base: Url, llm: Arc<dyn Llm>) -> anyhow::Result<Ports> {
    let settings = TwilioSettings {
        account_sid: telephone.account_sid.clone(),
        auth_token: telephone.auth_token.clone(),
        number: telephone.number.clone(),
        base,
    };
    Ok(Ports { telephony: Arc::new(TwilioClient::new(settings)?), llm })
}

fn model(settings: &LlmSettings) -> anyhow::Result<Arc<dyn Llm>> {
    Ok(match &settings.google_api_key {
        Some(key) => Arc::new(gemini(settings, key.clone(), settings.gemini_api_url.clone())?),
        None => Arc::new(NoModel),
    })
}

fn gemini(settings: &LlmSettings, key: SecretString, base: Option<Url>) -> anyhow::Result<GeminiModel> {
    Ok(GeminiModel::new(key, base, settings.model.clone(), settings.timeout)?)
}
