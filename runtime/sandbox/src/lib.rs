//! Plays the world outside of Apex on its real wire formats: Twilio (its REST API, the fetching and *executing* of our
//! `TwiML`, its signed callbacks), the people with their phones, and Gemini.
//!
//! It is the judge as well: a [`Ledger`] holds every call, leg and message, and [`Ledger::judge`] says what must not
//! have happened. It shares no code with what it judges; signature, scripts and formats are written here once more.
//!
//! Everything is served on one port, started by [`Sandbox::start`]. People follow a [`Script`] by phone number, what
//! goes wrong is set by [`Faults`], and both can be set over HTTP by another process: see `GET /sandbox`.

mod book;
mod clock;
mod control;
mod faults;
mod gemini;
mod ledger;
mod options;
mod outside;
mod sandbox;
mod script;
mod server;
mod signature;
mod stage;
mod twilio;
mod wav;
mod wire;

pub use control::Incoming;
pub use faults::{
    Burst, CallbackFault, CallbackKind, Chances, Fault, Faults, GeminiChances, GeminiFault, Mishap, RequestChances,
};
pub use ledger::{
    Call, CallStatus, Callbacks, Direction, FailedCallback, GeminiRequest, Ledger, Message, MessageStatus, Recording,
    RecordingStatus, Repeated, Summary, Task, TwimlFetch,
};
pub use options::{Options, Pace, SandboxError};
pub use sandbox::Sandbox;
pub use script::{Conversation, Keypress, Line, MessageFate, Moment, Pickup, Script, Speaker};
