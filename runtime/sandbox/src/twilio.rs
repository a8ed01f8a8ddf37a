//! Twilio: the REST API, the calls it starts, the scripts it runs for them and the callbacks it posts.

mod answer;
mod call_run;
mod callbacks;
mod dial;
mod form;
mod leg;
mod paging;
mod player;
mod request;
mod rest;
mod rest_calls;
mod rest_messages;
mod rest_recordings;
mod tape;
mod twiml;
mod verbs;

pub(crate) use call_run::{Order, incoming};
pub(crate) use rest::handler;
