//! Recordings as sound: a short, valid stereo WAV whose words ride along as its comment.
//!
//! Nobody speaks in a sandbox, so the words that the script says are written into the file (RIFF `LIST INFO ICMT`), and
//! the model that "listens" to the file finds exactly those.

const RATE: u32 = 8000;
const CHANNELS: u16 = 2;
const SECONDS: u32 = 1;
const LOUDNESS: u32 = 24;

/// One second of two tones, one a side, with `text` as the comment.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    let mut comment = text.as_bytes().to_vec();
    comment.push(0);
    let mut info = b"INFO".to_vec();
    chunk(&mut info, *b"ICMT", &comment);

    let mut body = b"WAVE".to_vec();
    chunk(&mut body, *b"fmt ", &format_header());
    chunk(&mut body, *b"LIST", &info);
    chunk(&mut body, *b"data", &tones());

    let mut file = Vec::with_capacity(body.len() + 8);
    chunk(&mut file, *b"RIFF", &body);
    file
}

/// The words of a file made by [`encode`]; `None` where the sound carries none.
pub(crate) fn words(file: &[u8]) -> Option<String> {
    let (_, riff) = chunks(file).find(|(name, _)| name == b"RIFF")?;
    let (_, list) =
        chunks(riff.strip_prefix(b"WAVE")?).find(|(name, body)| name == b"LIST" && body.starts_with(b"INFO"))?;
    let (_, comment) = chunks(&list[4..]).find(|(name, _)| name == b"ICMT")?;
    let end = comment.iter().position(|byte| *byte == 0).unwrap_or(comment.len());
    String::from_utf8(comment[..end].to_vec()).ok()
}

/// PCM, 8 bits, both channels.
fn format_header() -> Vec<u8> {
    let block = CHANNELS;
    let mut header = Vec::with_capacity(16);
    header.extend(1_u16.to_le_bytes());
    header.extend(CHANNELS.to_le_bytes());
    header.extend(RATE.to_le_bytes());
    header.extend((RATE * u32::from(block)).to_le_bytes());
    header.extend(block.to_le_bytes());
    header.extend(8_u16.to_le_bytes());
    header
}

fn tones() -> Vec<u8> {
    (0..RATE * SECONDS).flat_map(|at| [triangle(at, 20), triangle(at, 32)]).collect()
}

/// A soft tone around the middle (128) that repeats every `period` samples.
fn triangle(at: u32, period: u32) -> u8 {
    let place = at % period;
    let rise = place.min(period - place);
    let level = 128 - LOUDNESS / 2 + rise * LOUDNESS * 2 / period / 2;
    u8::try_from(level).unwrap_or(128)
}

fn chunk(out: &mut Vec<u8>, name: [u8; 4], body: &[u8]) {
    out.extend(name);
    out.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend(body);
    if body.len() % 2 == 1 {
        out.push(0); // chunks begin at even places
    }
}

fn chunks(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_at_checked(8)?;
        let name = [head[0], head[1], head[2], head[3]];
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let length = usize::try_from(length).ok()?.min(tail.len());
        let (body, tail) = tail.split_at(length);
        rest = tail.get(length % 2..).unwrap_or_default();
        Some((name, body))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_words_come_back_from_the_sound() {
        let text = "Boss: Kia ora\nCustomer: Tēnā koe — the pipe burst 💧";
        let file = encode(text);
        assert_eq!(words(&file).as_deref(), Some(text));
        assert_eq!(&file[..4], b"RIFF");
        let length = u32::from_le_bytes([file[4], file[5], file[6], file[7]]);
        assert_eq!(usize::try_from(length).unwrap() + 8, file.len());
        let data = file.windows(4).position(|window| window == b"data").unwrap();
        assert_eq!(file.len() - data - 8, 16_000, "one second of two channels");
    }

    #[test]
    fn sound_without_words_says_nothing() {
        assert_eq!(words(b""), None);
        assert_eq!(words(b"ID3\x04 this is another format"), None);
        let mut silent = b"WAVE".to_vec();
        chunk(&mut silent, *b"fmt ", &format_header());
        let mut file = Vec::new();
        chunk(&mut file, *b"RIFF", &silent);
        assert_eq!(words(&file), None);
    }

    proptest! {
        #[test]
        fn any_words_survive(text in "[^\0]{0,300}") {
            prop_assert_eq!(words(&encode(&text)), Some(text));
        }

        #[test]
        fn no_bytes_are_too_strange_to_listen_to(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = words(&bytes);
            let mut file = b"RIFF\xff\xff\xff\x7fWAVE".to_vec();
            file.extend(bytes);
            let _ = words(&file);
        }
    }
}
