//! What must be true of a lead when everything is over.

use apex_tests::program::Builder;
use apex_tests::sse::Event;
use apex_tests::{Client, GoogleLead};
use reqwest::Method;
use serde_json::Value;

use crate::scene::{BOSS, CUSTOMER, Scene};

impl Scene {
    /// A scene with faults planted; none of them is passed before the first lead.
    pub(super) async fn planted(builder: Builder, faults: &[&str]) -> Self {
        let builder = faults.iter().fold(builder, |builder, fault| builder.fault(fault));
        Self::open(builder.env("APEX_CALL_LOOKUP_SECONDS", "1")).await
    }

    /// Sends a form to a program that may die meanwhile. The context, if there was an answer.
    pub(super) async fn send(&self, lead: &GoogleLead) -> Option<String> {
        let path = Client::v1(&format!("/webhooks/google-ads?project_id={}", self.project.id));
        let request = self.client.anonymous().request(Method::POST, &path);
        let answer = self.client.try_send(request.json(&lead.json(&self.project.google_key))).await;
        let (status, body) = answer.ok()?;
        status.is_success().then(|| body["data"]["context_id"].as_str().expect("a context").to_owned())
    }

    /// Everything a stream tells until it ends or breaks; nothing when nobody answers.
    pub(super) async fn watch(&self, context: &str) -> Vec<Event> {
        match self.client.try_sse(context, None).await {
            Some(mut stream) => stream.until(|_| false).await,
            None => Vec::new(),
        }
    }

    /// A stream that broke after `seen` and is resumed tells the rest: no gap, no repeat, the same as one that never broke.
    pub(super) async fn resumes(&self, context: &str, seen: &[Event]) {
        let all = self.client.sse(context, None).await.until(|_| false).await;
        let last = seen.last().map(|event| event.id.as_str());
        let rest = self.client.sse(context, last).await.until(|_| false).await;
        let resumed: Vec<_> = seen.iter().chain(&rest).cloned().collect();
        assert_eq!(resumed, all, "resumed after {last:?}");
        let expected: Vec<u64> = (1..).take(all.len()).collect();
        assert_eq!(all.iter().map(Event::seq).collect::<Vec<_>>(), expected);
        let last = all.last().expect("a stream tells at least the acceptance");
        assert!(matches!(last.event.as_str(), "completed" | "failed"), "{last:?}");
        self.replays_alike(context).await;
    }

    /// The project has this one lead and this one ticket for it.
    pub(super) async fn has_one_ticket(&self, context: &str) {
        let leads = self.client.leads(&self.project.id).await;
        assert_eq!(leads.len(), 1, "{leads:?}");
        let page = self.client.ok("tickets", self.client.get(&self.tickets_path()).await);
        let ids: Vec<_> = page["data"].as_array().expect("rows").iter().map(|row| row["id"].clone()).collect();
        assert_eq!(ids, [context], "{page}");
    }

    fn tickets_path(&self) -> String {
        Client::v1(&format!("/tickets?project_id={}", self.project.id))
    }

    /// What the outside saw of a dialled lead agrees with how its ticket ended: one call to the boss, the customer's phone
    /// only after a key press, a text only when they did not speak.
    pub(super) fn was_called_once(&self, end: &Value) {
        let outcome = end["data"]["result"]["outcome"].as_str().unwrap_or_default();
        let (calls, legs, texts) = self.sandbox.read(|ledger| {
            let rung = ledger.calls_to(CUSTOMER).iter().filter(|leg| leg.rung_at.is_some()).count();
            (ledger.calls_to(BOSS).len(), rung, ledger.messages_to(BOSS).len())
        });
        let expected = match outcome {
            "connected" => (1, 1, 0),
            "customer_unreached" => (1, legs.min(1), 1),
            "no_key" | "boss_unreached" => (1, 0, 1),
            "held" => (calls.min(1), legs.min(1), 1),
            other => panic!("unexpected outcome {other:?}: {end}\n{}", self.apex.stderr()),
        };
        assert_eq!((calls, legs, texts), expected, "calls, customer legs, texts of {end}\n{}", self.apex.stderr());
    }

    /// What the outside did is in the ledger of costs exactly once.
    pub(super) async fn was_charged_once(&self, context: &str, end: &Value) {
        let result = &end["data"]["result"];
        let answer = self.client.get(&Client::v1(&format!("/usage?project_id={}", self.project.id))).await;
        let usage = self.client.ok("usage", answer);
        assert_eq!(usage["month_to_date_micros"], result["cost_micros"], "{usage} {end}");
        let rows = usage["resources"].as_array().expect("resources");
        let used = |resource: &str| {
            let row = rows.iter().find(|row| row["resource"] == resource);
            row.map_or(0, |row| row["quantity"].as_u64().expect("whole units"))
        };
        let timeline = self.client.timeline(context).await;
        let step = |name: &str, field: &str| {
            let entries = timeline["events"].as_array().expect("a journal");
            let found = entries.iter().find(|entry| entry["kind"] == "step" && entry["step"] == name);
            found.map_or(0, |entry| entry["data"][field].as_u64().unwrap_or(0))
        };
        assert_eq!(used("twilio_voice"), step("close", "billed_minutes"), "{usage} {timeline}");
        assert_eq!(
            used("gemini_token"),
            step("transcribe", "tokens") + step("analyse", "tokens"),
            "{usage} {timeline}"
        );
        let texts = u64::try_from(self.texts_to(BOSS).len()).expect("a small number");
        assert_eq!(used("twilio_sms"), texts, "{usage} {timeline}");
    }
}
