//! What the sandbox promises to whoever tests against it.

mod calls;
mod control;
mod crowd;
mod failures;
mod gemini;
mod incoming;
mod interruptions;
mod messages;
mod ours;
mod rest;
