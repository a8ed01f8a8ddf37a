//! Lead forms as Google Ads sends them.

use serde_json::{Value, json};

/// Builds the body of one lead form.
#[derive(Clone, Debug)]
pub struct GoogleLead {
    id: String,
    is_test: bool,
    columns: Vec<Value>,
    extra: Vec<(String, Value)>,
}

impl GoogleLead {
    /// A form without any column; `id` is what Google repeats when it sends the same lead again.
    pub fn empty(id: &str) -> Self {
        Self { id: id.to_owned(), is_test: false, columns: Vec::new(), extra: Vec::new() }
    }

    /// A customer with a name, a phone and a wish.
    pub fn new(id: &str, phone: &str) -> Self {
        Self::empty(id).name("Mere Kūpapa").phone(phone).question("What do you need?", "New bathroom")
    }

    /// The customer's full name.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.column("FULL_NAME", "Full Name", name)
    }

    /// The customer's phone, readable or not.
    #[must_use]
    pub fn phone(self, phone: &str) -> Self {
        self.column("PHONE_NUMBER", "User Phone", phone)
    }

    /// The customer's address for mail.
    #[must_use]
    pub fn email(self, email: &str) -> Self {
        self.column("EMAIL", "User Email", email)
    }

    /// A question of the form's own and its answer.
    #[must_use]
    pub fn question(self, question: &str, answer: &str) -> Self {
        let id = question.to_lowercase().replace(' ', "_");
        self.column(&id, question, answer)
    }

    /// One column as it stands on the wire. A second one of the same id replaces the first.
    #[must_use]
    pub fn column(mut self, id: &str, name: &str, value: &str) -> Self {
        self.columns.retain(|column| column["column_id"] != id);
        self.columns.push(json!({"column_id": id, "column_name": name, "string_value": value}));
        self
    }

    /// Marks it as sent by the console's test button.
    #[must_use]
    pub fn test(mut self) -> Self {
        self.is_test = true;
        self
    }

    /// Adds or replaces a top-level field.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.extra.push((name.to_owned(), value));
        self
    }

    /// The whole body with the project's key.
    pub fn json(&self, google_key: &str) -> Value {
        let mut body = json!({
            "lead_id": self.id,
            "api_version": "1.0",
            "form_id": 440_011_223_344_i64,
            "campaign_id": 20_998_877_665_i64,
            "google_key": google_key,
            "is_test": self.is_test,
            "gcl_id": "EAIaIQobChMI-example",
            "adgroup_id": 155_001_122_334_i64,
            "creative_id": 30_000_000_000_i64,
            "user_column_data": self.columns,
        });
        for (name, value) in &self.extra {
            body[name] = value.clone();
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_value_replaces_an_earlier_one() {
        let lead = GoogleLead::new("lead-1", "+64275559001").phone("027").test().field("form_id", json!("44"));
        let body = lead.json("key");
        let phones: Vec<_> = body["user_column_data"].as_array().unwrap().iter().collect();
        assert_eq!(phones.iter().filter(|column| column["column_id"] == "PHONE_NUMBER").count(), 1);
        assert_eq!(
            (&body["is_test"], &body["form_id"], &body["google_key"]),
            (&json!(true), &json!("44"), &json!("key"))
        );
    }
}
