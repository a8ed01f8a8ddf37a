//! The model.

use apex_sandbox::{Faults, GeminiFault, Task};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::ours::{Ours, json as read};

async fn ask(ours: &Ours, call: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/v1beta/models/gemini-3.8-flash:{call}", ours.sandbox.url());
    let request = ours.http.post(url).header("x-goog-api-key", &ours.options.gemini_key).json(body);
    read(request.send().await.expect("an answer")).await
}

#[tokio::test]
async fn a_recording_is_transcribed_and_its_words_are_analysed() {
    let ours = Ours::start().await;
    let sid = ours.call_boss().await;
    let ledger = ours.until_quiet().await;
    let file = ours.rest(&format!("Recordings/{}.wav", ledger.recordings[0].sid));
    let sound = ours.http.get(file).basic_auth(&ours.options.account_sid, Some(&ours.options.auth_token));
    let data = STANDARD.encode(sound.send().await.unwrap().bytes().await.unwrap());
    let audio = json!({ "inlineData": { "mimeType": "audio/wav", "data": data } });
    let body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Transcribe." }, audio] }] });
    let (status, answer) = ask(&ours, "generateContent", &body).await;
    let transcript = answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap().to_owned();
    assert_eq!((status, transcript.as_str()), (200, ledger.recordings[0].text.as_str()));
    assert_eq!(
        (&answer["candidates"][0]["finishReason"], &answer["modelVersion"]),
        (&json!("STOP"), &json!("gemini-3.8-flash"))
    );
    assert!(answer["usageMetadata"]["totalTokenCount"].as_u64() > Some(32), "{answer}");

    let schema = json!({ "type": "OBJECT", "properties": { "key_points": { "type": "ARRAY" } } });
    let prompt = format!("Analyse this call {sid}.\n\n{transcript}");
    let body = json!({
        "contents": [{ "role": "user", "parts": [{ "text": prompt }] }],
        "generationConfig": { "responseMimeType": "application/json", "responseSchema": schema },
    });
    let (_, answer) = ask(&ours, "generateContent", &body).await;
    let text = answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
    let analysis: Value = serde_json::from_str(text).unwrap();
    for key in ["summary", "key_points", "customer_intent", "next_steps", "sentiment", "urgency"] {
        assert!(!analysis[key].is_null(), "{key} in {analysis}");
    }
    assert_eq!(analysis["urgency"], "high");
    let asked: Vec<_> = ours.sandbox.ledger().gemini_requests.iter().map(|request| request.task).collect();
    assert_eq!(asked, [Task::Transcribe, Task::Analyse]);
    ours.stop().await;
}

#[tokio::test]
async fn a_model_refuses_as_the_real_one_does() {
    let ours = Ours::start().await;
    let body = json!({ "contents": [{ "parts": [{ "text": "Give key_points." }] }] });
    let url = format!("{}/v1/models/gemini-3.8-flash:generateContent", ours.sandbox.url());
    for request in [ours.http.post(&url), ours.http.post(&url).header("x-goog-api-key", "wrong")] {
        let (status, answer) = read(request.json(&body).send().await.unwrap()).await;
        assert_eq!((status, &answer["error"]["details"][0]["reason"]), (400, &json!("API_KEY_INVALID")));
    }
    ours.sandbox.faults(Faults {
        fail_next_gemini: vec![
            GeminiFault::Blocked,
            GeminiFault::Quota { retry_delay: 36 },
            GeminiFault::Http { status: 500 },
            GeminiFault::Truncated,
        ],
        ..Faults::default()
    });
    let (status, blocked) = ask(&ours, "generateContent", &body).await;
    assert_eq!((status, blocked.get("candidates")), (200, None));
    assert_eq!(blocked["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    let (status, quota) = ask(&ours, "generateContent", &body).await;
    assert_eq!((status, &quota["error"]["details"][0]["retryDelay"]), (429, &json!("36s")));
    let (status, failed) = ask(&ours, "generateContent", &body).await;
    assert_eq!((status, &failed["error"]["status"]), (500, &json!("INTERNAL")));
    let (_, cut) = ask(&ours, "generateContent", &body).await;
    assert_eq!(cut["candidates"][0]["finishReason"], "MAX_TOKENS");
    let half = cut["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(half).is_err(), "{half}");
    assert_eq!(ask(&ours, "generateContent", &body).await.0, 200);
    assert_eq!(ask(&ours, "danceContent", &body).await.0, 404);
    assert_eq!(ask(&ours, "generateContent", &json!({})).await.0, 400);
    assert!(ask(&ours, "countTokens", &body).await.1["totalTokens"].as_u64() > Some(2));
    let (status, stream) = ask(&ours, "streamGenerateContent?alt=sse", &body).await;
    let event = stream.as_str().unwrap();
    assert!(status == 200 && event.starts_with("data: {") && event.ends_with("\r\n\r\n"), "{event}");
    ours.stop().await;
}
