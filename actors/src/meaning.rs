//! From sound to text to meaning, with the honest fallbacks: without a model there is no text, and rules tell what a text
//! means.

mod rules;

use apex_config::dna::Dna;
use apex_storage::blob::BlobKey;

use crate::ports::{Analysis, Answer, Briefing, PortError};
use crate::world::World;

pub(crate) use rules::by_rules;

/// What listening gave.
pub(crate) enum Heard {
    /// A transcript.
    Text(Answer<String>),
    /// No transcript, for this reason.
    Nothing(&'static str),
}

/// What a model is told about the business.
pub(crate) fn briefing(dna: &Dna) -> Briefing {
    Briefing {
        business_name: dna.identity.business_name.clone().unwrap_or_default(),
        niche: dna.identity.niche.clone(),
        language: dna.identity.language.clone(),
    }
}

/// Turns a stored recording into text.
pub(crate) async fn listen(world: &World, key: &str, mime: &str, briefing: &Briefing) -> Result<Heard, PortError> {
    if !world.ports.llm.is_configured() {
        return Ok(Heard::Nothing("transcription is not configured"));
    }
    let key: BlobKey = key.parse().map_err(|error| PortError::Permanent(format!("{error}")))?;
    let audio = world.blobs.get(&key).await.map_err(|error| PortError::Transient(error.to_string()))?;
    let Some(audio) = audio else { return Ok(Heard::Nothing("the recording is gone")) };
    let answer = world.ports.llm.transcribe(audio.to_vec(), mime, briefing).await?;
    if answer.value.trim().is_empty() { Ok(Heard::Nothing("nothing was said")) } else { Ok(Heard::Text(answer)) }
}

/// Tells what a transcript means: by the model, or by rules where there is none.
pub(crate) async fn analyse(
    world: &World,
    transcript: &str,
    briefing: &Briefing,
) -> Result<Answer<Analysis>, PortError> {
    if !world.ports.llm.is_configured() {
        return Ok(by_rules(transcript));
    }
    world.ports.llm.analyse(transcript, briefing).await
}
