//! Sound in parts that fit into a request: a request carries no more than 20 MB, and a long call is more.

use apex_actors::ports::PortError;

/// As base64 this is 16 MB. Two channels of eight kilohertz fill it in six and a half minutes.
pub(super) const PART_BYTES: usize = 12 << 20;

const HEADER: usize = 8;

/// The sound in order, each part a WAV file of its own; one part as it came when it fits.
///
/// # Errors
///
/// [`PortError::Permanent`]: it is too long and is no WAV file that could be cut.
pub(super) fn parts(audio: Vec<u8>, limit: usize) -> Result<Vec<Vec<u8>>, PortError> {
    if audio.len() <= limit {
        return Ok(vec![audio]);
    }
    cut(&audio, limit).ok_or_else(|| PortError::Permanent("the sound is too long and cannot be cut".to_owned()))
}

fn cut(audio: &[u8], limit: usize) -> Option<Vec<Vec<u8>>> {
    let body = audio.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let format = chunk(body, *b"fmt ")?;
    let samples = chunk(body, *b"data")?;
    let frame = usize::from(u16::from_le_bytes(format.get(12..14)?.try_into().ok()?));
    let room = limit.checked_sub(4 + 3 * HEADER + format.len())?;
    let size = room.checked_div(frame)?.checked_mul(frame).filter(|size| *size > 0)?;
    samples.chunks(size).map(|samples| file(format, samples)).collect()
}

/// The content of the first chunk of this name. The last one may promise more than there is: a recording that was
/// streamed did not know its length.
fn chunk(mut rest: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    loop {
        let (header, tail) = rest.split_at_checked(HEADER)?;
        let length = u32::from_le_bytes(header[4..].try_into().ok()?);
        let length = usize::try_from(length).ok()?.min(tail.len());
        if header[..4] == name {
            return Some(&tail[..length]);
        }
        rest = tail.get(length + length % 2..)?;
    }
}

fn file(format: &[u8], samples: &[u8]) -> Option<Vec<u8>> {
    let length = |bytes: usize| u32::try_from(bytes).ok().map(u32::to_le_bytes);
    let mut file = Vec::with_capacity(format.len() + samples.len() + 4 * HEADER);
    file.extend(b"RIFF");
    file.extend(length(4 + 2 * HEADER + format.len() + samples.len())?);
    file.extend(b"WAVEfmt ");
    file.extend(length(format.len())?);
    file.extend(format);
    file.extend(b"data");
    file.extend(length(samples.len())?);
    file.extend(samples);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two channels of 16 bits.
    const FORMAT: [u8; 16] = [1, 0, 2, 0, 0x40, 0x1f, 0, 0, 0, 0x7d, 0, 0, 4, 0, 16, 0];

    #[test]
    fn long_sound_is_cut_between_frames_and_nothing_is_lost() {
        let samples: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let mut audio = file(&FORMAT, &samples).unwrap();
        audio.splice(12..12, *b"LIST\x03\0\0\0abc\0");
        let parts = parts(audio, 345).unwrap();
        assert!(parts.len() > 3);
        let mut joined = Vec::new();
        for part in &parts {
            assert!(part.len() <= 345);
            let length = u32::from_le_bytes(part[4..8].try_into().unwrap());
            assert_eq!(usize::try_from(length).unwrap() + 8, part.len());
            assert_eq!(chunk(&part[12..], *b"fmt "), Some(&FORMAT[..]));
            let data = chunk(&part[12..], *b"data").unwrap();
            assert_eq!(data.len() % 4, 0);
            joined.extend_from_slice(data);
        }
        assert_eq!(joined, samples);
    }

    #[test]
    fn sound_that_fits_is_left_alone_whatever_it_is() {
        assert_eq!(parts(b"ID3".to_vec(), 3).unwrap(), [b"ID3".to_vec()]);
    }

    #[test]
    fn a_length_that_was_never_written_means_to_the_end() {
        let mut audio = file(&FORMAT, &[7; 400]).unwrap();
        let data = audio.len() - 404;
        audio[data..data + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let parts = parts(audio, 244).unwrap();
        assert_eq!(parts.iter().map(|part| chunk(&part[12..], *b"data").unwrap().len()).sum::<usize>(), 400);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let mut no_frame = FORMAT;
        no_frame[12] = 0;
        for audio in [b"ID3 and so on".to_vec(), file(&no_frame, &[0; 400]).unwrap(), b"RIFF\0\0\0\0WAVEfmt ".to_vec()]
        {
            assert!(matches!(parts(audio, 10), Err(PortError::Permanent(_))));
        }
    }
}
