//! Bodies: as JSON, as a form, in parts, or as nobody meant them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use url::form_urlencoded;

use super::shapes::{nasty, strings};
use super::world::World;

/// The line between the parts of a body.
const BOUNDARY: &str = "b";

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Nothing,
    Json(Value),
    Form(Vec<(String, String)>),
    Parts(Vec<(String, String)>),
    Raw(Vec<u8>),
    /// So many of these bytes: only a few requests are as large as that.
    Many(&'static str, usize),
}

/// What happens to it on its way.
#[derive(Clone, Debug)]
pub(super) enum Damage {
    None,
    Cut(Index),
    Insert(Index, &'static [u8]),
    Replace(Index, Vec<u8>),
    Twice,
}

/// Content of a JSON body that is described, or of a form.
pub(super) fn contents(described: Option<BoxedStrategy<Value>>) -> BoxedStrategy<Content> {
    let form = vec((names(), nasty_or_known()), 0..8).boxed();
    let raw = prop_oneof![vec(any::<u8>(), 0..40), nasty().prop_map(String::into_bytes)];
    let many = select(vec![
        ("[", 5_000),
        ("{\"a\":", 5_000),
        ("x", 70_000),
        ("9", 2_000),
        ("- ", 3_000),
        ("&a=1", 20_000),
        ("é", 600_000),
    ]);
    let other = prop_oneof![
        4 => form.clone().prop_map(Content::Form),
        3 => form.prop_map(Content::Parts),
        2 => raw.prop_map(Content::Raw),
        3 => Just(Content::Nothing),
    ];
    let many = many.prop_map(|(bytes, times)| Content::Many(bytes, times));
    match described {
        Some(json) => prop_oneof![60 => json.prop_map(Content::Json), 12 => other, 1 => many].boxed(),
        None => prop_oneof![70 => other, 1 => many].boxed(),
    }
}

/// What may be damaged: one of four.
pub(super) fn damages() -> BoxedStrategy<Damage> {
    let pieces: Vec<&'static [u8]> = vec![
        b"\xff\xfe",
        b"\0",
        b"\\ud800",
        b"\\udc00\\ud800",
        b"\\u0000",
        b"1e999",
        b"-",
        b"\"",
        b"{",
        b"]",
        b",",
        b"\"a\":1,\"a\":2,",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"99999999999999999999999999",
        b"%zz",
        b"\r\n--b\r\n",
        b"&",
        b"/*",
        b"\x1b[2J",
        b": *a",
    ];
    prop_oneof![
        12 => Just(Damage::None),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), select(pieces)).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        1 => (any::<Index>(), vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Damage::Replace(at, bytes)),
        1 => Just(Damage::Twice),
    ]
    .boxed()
}

impl Content {
    /// The bytes, with what is known in its places.
    pub fn bytes(&self, world: &World, damage: &Damage) -> Vec<u8> {
        let whole = match self {
            Self::Nothing => Vec::new(),
            Self::Json(value) => world.filled(&value.to_string()).into_bytes(),
            Self::Form(pairs) => {
                let pairs = pairs.iter().map(|(name, value)| (name, world.filled(value)));
                form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
            }
            Self::Parts(pairs) => parts(world, pairs).into_bytes(),
            Self::Raw(bytes) => bytes.clone(),
            Self::Many(bytes, times) => bytes.repeat(*times).into_bytes(),
        };
        damage.done_to(whole)
    }

    /// The media type that goes with it.
    pub fn media(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Json(_) | Self::Raw(_) | Self::Many(..) => Some("application/json"),
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
            Self::Parts(_) => Some("multipart/form-data; boundary=b"),
        }
    }
}

impl Damage {
    fn done_to(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match self {
            Self::None => {}
            Self::Cut(at) => bytes.truncate(place(at, &bytes)),
            Self::Insert(at, piece) => {
                let at = place(at, &bytes);
                bytes.splice(at..at, piece.iter().copied());
            }
            Self::Replace(at, new) => {
                let at = place(at, &bytes);
                let end = (at + new.len()).min(bytes.len());
                bytes.splice(at..end, new.iter().copied());
            }
            Self::Twice => bytes.extend_from_within(..),
        }
        bytes
    }
}

fn parts(world: &World, pairs: &[(String, String)]) -> String {
    let part = |(name, value): &(String, String)| {
        let value = world.filled(value);
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    format!("{}--{BOUNDARY}--\r\n", pairs.iter().map(part).collect::<String>())
}

/// Names of fields as forms and the telephone provider send them.
fn names() -> BoxedStrategy<String> {
    let known = [
        "name",
        "your-name",
        "phone",
        "email",
        "message",
        "form_id",
        "entry_id",
        "fields[name][value]",
        "CallSid",
        "AccountSid",
        "From",
        "To",
        "CallStatus",
        "Digits",
        "AnsweredBy",
        "RecordingSid",
        "RecordingUrl",
        "RecordingDuration",
        "MessageSid",
        "Body",
        "MessageStatus",
        "SequenceNumber",
        "Timestamp",
        "TranscriptionText",
        "CallDuration",
        "ErrorCode",
    ];
    prop_oneof![12 => select(known.map(str::to_owned).to_vec()), 1 => nasty()].boxed()
}

fn nasty_or_known() -> BoxedStrategy<String> {
    let known = [
        "CA00000000000000000000000000000001",
        "AC00000000000000000000000000000000",
        "+64275559001",
        "completed",
        "in-progress",
        "1",
        "human",
        "machine_start",
        "SM00000000000000000000000000000001",
        "RE00000000000000000000000000000001",
        "STOP",
        "busy",
        "12",
    ];
    prop_oneof![6 => select(known.map(str::to_owned).to_vec()), 2 => nasty(), 1 => strings("name", None)].boxed()
}
