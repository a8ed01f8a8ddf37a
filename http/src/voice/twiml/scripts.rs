//! The scripts of the bridge call: the boss first, the customer only after a pressed digit.

use super::{Dial, Gather, Number, Response, Say, TwiMl};

/// What the boss hears when picking up.
#[derive(Debug, Clone, Copy)]
pub struct WhisperScript<'a> {
    /// Who wants what, and to press 1.
    pub text: &'a str,
    /// The language of `text`, as Twilio names it: `en-NZ`.
    pub language: &'a str,
    /// Absolute URL that gets the pressed digit, or silence.
    pub action_url: &'a str,
    /// How long to wait for the digit, in seconds.
    pub timeout_s: u32,
}

/// How the customer is rung after the boss said yes.
#[derive(Debug, Clone, Copy)]
pub struct ConnectScript<'a> {
    /// The customer's number, E.164.
    pub customer: &'a str,
    /// The number the customer sees, E.164; one of ours.
    pub caller_id: &'a str,
    /// How long the customer's phone rings, in seconds.
    pub ring_timeout_s: u32,
    /// How long the conversation may last, in seconds.
    pub time_limit_s: u32,
    /// Is the conversation recorded?
    pub record: bool,
    /// Absolute URL that learns of the recording.
    pub recording_callback: &'a str,
    /// Absolute URL of the script that follows the conversation.
    pub after_action: &'a str,
    /// Absolute URL that learns of the customer leg's progress.
    pub leg_callback: &'a str,
}

/// How a customer who called us is put through.
#[derive(Debug, Clone, Copy)]
pub struct ForwardScript<'a> {
    /// What the customer hears first, such as the notice of a recording.
    pub greeting: Option<&'a str>,
    /// The language of `greeting`, as Twilio names it.
    pub language: &'a str,
    /// The numbers that ring together, E.164; ten at most.
    pub bosses: &'a [&'a str],
    /// The number the boss sees, E.164; none: the customer's own.
    pub caller_id: Option<&'a str>,
    /// Absolute URL of a [`whisper`] played to whoever picks up, so that a voicemail box is not taken for a person.
    pub screen_url: Option<&'a str>,
    /// How long the phones ring, in seconds.
    pub ring_timeout_s: u32,
    /// How long the conversation may last, in seconds.
    pub time_limit_s: u32,
    /// Is the conversation recorded?
    pub record: bool,
    /// Absolute URL that learns of the recording.
    pub recording_callback: &'a str,
    /// Absolute URL of the script that follows the conversation.
    pub after_action: &'a str,
    /// Absolute URL that learns of each leg's progress.
    pub leg_callback: &'a str,
}

/// Tells the boss about the lead and waits for a digit; a voicemail box never presses one.
pub fn whisper(script: &WhisperScript<'_>) -> TwiMl {
    let gather = Gather::new(1, script.timeout_s, script.action_url).say(Say::new(script.text, script.language));
    Response::new().gather(gather).hangup().finish()
}

/// Rings the customer and joins them to the boss.
pub fn connect_customer(script: &ConnectScript<'_>) -> TwiMl {
    let dial = Dial::new(script.ring_timeout_s, script.time_limit_s, script.after_action).caller_id(script.caller_id);
    let dial = if script.record { dial.record(script.recording_callback) } else { dial };
    Response::new().dial(dial.number(Number::new(script.customer, script.leg_callback))).finish()
}

/// Puts a customer who called us through to the boss.
pub fn forward_to_boss(script: &ForwardScript<'_>) -> TwiMl {
    let mut dial = Dial::new(script.ring_timeout_s, script.time_limit_s, script.after_action);
    if let Some(caller_id) = script.caller_id {
        dial = dial.caller_id(caller_id);
    }
    if script.record {
        dial = dial.record(script.recording_callback);
    }
    for boss in script.bosses {
        let number = Number::new(boss, script.leg_callback);
        dial = dial.number(match script.screen_url {
            Some(url) => number.screened_by(url),
            None => number,
        });
    }
    let response = Response::new();
    let response = match script.greeting {
        Some(greeting) => response.say(Say::new(greeting, script.language)),
        None => response,
    };
    response.dial(dial).finish()
}

/// Says a last sentence and ends the call.
pub fn goodbye(text: &str, language: &str) -> TwiMl {
    Response::new().say(Say::new(text, language)).hangup().finish()
}

/// Ends the call.
pub fn hangup() -> TwiMl {
    Response::new().hangup().finish()
}

/// Nothing to do: ends a call, joins a screened one, answers a text message with silence.
pub fn empty() -> TwiMl {
    Response::new().finish()
}

/// Says that something went wrong on our side and ends the call. Unknown languages hear English.
pub fn apology(language: &str) -> TwiMl {
    let (text, spoken) = match language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "es" => ("Lo sentimos, ha ocurrido un problema. Vuelva a llamar en un momento, por favor.", language),
        "de" => ("Entschuldigung, es ist ein Fehler aufgetreten. Bitte rufen Sie gleich noch einmal an.", language),
        "fr" => ("Désolé, un problème est survenu. Veuillez rappeler dans un instant.", language),
        "it" => ("Siamo spiacenti, si è verificato un problema. La preghiamo di richiamare tra poco.", language),
        "pt" => ("Desculpe, ocorreu um problema. Por favor, ligue novamente daqui a pouco.", language),
        "en" => (APOLOGY, language),
        _ => (APOLOGY, "en-US"),
    };
    goodbye(text, spoken)
}

const APOLOGY: &str = "Sorry, something went wrong on our side. Please call again in a moment.";

#[cfg(test)]
mod tests {
    use super::*;

    const PROLOG: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

    fn forward<'a>(bosses: &'a [&'a str]) -> ForwardScript<'a> {
        ForwardScript {
            greeting: None,
            language: "en-NZ",
            bosses,
            caller_id: None,
            screen_url: None,
            ring_timeout_s: 20,
            time_limit_s: 3600,
            record: false,
            recording_callback: "https://hooks.kereru.example/rec",
            after_action: "https://hooks.kereru.example/after",
            leg_callback: "https://hooks.kereru.example/leg",
        }
    }

    #[test]
    fn the_boss_hears_the_lead_and_must_press_a_digit() {
        let script = WhisperScript {
            text: "New lead, Mere & co, about a bathroom. Press 1 to call now.",
            language: "en-NZ",
            action_url: "https://hooks.kereru.example/twilio/choice?lead=ld_42&n=1",
            timeout_s: 8,
        };
        let expected = "<Response><Gather numDigits=\"1\" timeout=\"8\" actionOnEmptyResult=\"true\" method=\"POST\" \
            action=\"https://hooks.kereru.example/twilio/choice?lead=ld_42&amp;n=1\"><Say language=\"en-NZ\">New lead, \
            Mere &amp; co, about a bathroom. Press 1 to call now.</Say></Gather><Hangup/></Response>";
        assert_eq!(whisper(&script).0, format!("{PROLOG}{expected}"));
    }

    #[test]
    fn the_customer_is_rung_from_our_number_and_recorded_on_two_channels() {
        let script = ConnectScript {
            customer: "+64275559001",
            caller_id: "+6498889002",
            ring_timeout_s: 25,
            time_limit_s: 3600,
            record: true,
            recording_callback: "https://hooks.kereru.example/twilio/rec?lead=ld_42",
            after_action: "https://hooks.kereru.example/twilio/after?lead=ld_42",
            leg_callback: "https://hooks.kereru.example/twilio/leg?lead=ld_42",
        };
        let expected = "<Response><Dial timeout=\"25\" answerOnBridge=\"true\" timeLimit=\"3600\" method=\"POST\" \
            action=\"https://hooks.kereru.example/twilio/after?lead=ld_42\" callerId=\"+6498889002\" \
            record=\"record-from-answer-dual\" \
            recordingStatusCallback=\"https://hooks.kereru.example/twilio/rec?lead=ld_42\" \
            recordingStatusCallbackEvent=\"completed absent\">\
            <Number statusCallback=\"https://hooks.kereru.example/twilio/leg?lead=ld_42\" \
            statusCallbackEvent=\"initiated ringing answered completed\" statusCallbackMethod=\"POST\">\
            +64275559001</Number></Dial></Response>";
        assert_eq!(connect_customer(&script).0, format!("{PROLOG}{expected}"));
        let unrecorded = connect_customer(&ConnectScript { record: false, ..script }).0;
        assert!(!unrecorded.contains("ecord"), "neither the attribute nor its callback: {unrecorded}");
    }

    #[test]
    fn an_inbound_call_rings_every_boss_and_screens_who_picks_up() {
        let script = forward(&["+64275559001", "+64275559002"]);
        let plain = forward_to_boss(&script).0;
        assert_eq!(plain.matches("<Number").count(), 2);
        assert!(!plain.contains("<Say") && !plain.contains("callerId") && !plain.contains(" url="));
        let full = forward_to_boss(&ForwardScript {
            greeting: Some("This call is recorded."),
            caller_id: Some("+6498889002"),
            screen_url: Some("https://hooks.kereru.example/screen"),
            record: true,
            ..script
        });
        assert!(full.0.contains("<Say language=\"en-NZ\">This call is recorded.</Say><Dial"));
        assert_eq!(full.0.matches("url=\"https://hooks.kereru.example/screen\"").count(), 2);
        assert!(full.0.contains("record-from-answer-dual") && full.0.contains("callerId=\"+6498889002\""));
    }

    #[test]
    fn the_short_answers_are_valid_documents() {
        assert_eq!(empty().0, format!("{PROLOG}<Response/>"));
        assert_eq!(hangup().0, format!("{PROLOG}<Response><Hangup/></Response>"));
        assert_eq!(
            goodbye("Ka kite", "en-NZ").0,
            format!("{PROLOG}<Response><Say language=\"en-NZ\">Ka kite</Say><Hangup/></Response>")
        );
    }

    #[test]
    fn an_apology_is_spoken_in_the_language_it_is_written_in() {
        assert!(apology("es-MX").0.contains("<Say language=\"es-MX\">Lo sentimos"));
        assert!(apology("en-NZ").0.contains("<Say language=\"en-NZ\">Sorry"));
        assert!(apology("mi-NZ").0.contains("<Say language=\"en-US\">Sorry"));
        assert!(apology("").0.contains("<Say language=\"en-US\">Sorry"));
    }
}
