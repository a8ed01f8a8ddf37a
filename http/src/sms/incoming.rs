//! Somebody texts our number.

use crate::voice::callback::Callback;
use crate::voice::contract::{Form, Spoken};
use crate::voice::twiml::{self, TwiMl};

/// Takes a text message and answers with silence. Nothing is kept of it: conversations have no home in this release.
#[utoipa::path(
    post, path = "/sms/incoming", operation_id = "sms_incoming", tag = "Providers", security(()),
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Spoken)
)]
pub(super) async fn sms_incoming(_proved: Callback) -> TwiMl {
    twiml::empty()
}
