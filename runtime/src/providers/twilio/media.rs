//! A recording's sound. It may live at a storage host, which must not see our credentials.

use apex_actors::ports::PortError;
use reqwest::Response;
use reqwest::header::LOCATION;
use url::{Host, Url};

use super::answer;
use super::transport::{Reply, Trip, Unread, Wire, read_up_to};

/// Two channels of eight kilohertz fill this in 54 minutes.
const SOUND_BYTES: usize = 100 << 20;
const ERROR_BYTES: usize = 64 << 10;
const MAX_HOPS: u32 = 3;

/// The sound as WAV; in stereo, one person a side, wherever there are two sides.
pub(super) async fn fetch(wire: &Wire, sid: &str) -> Result<Vec<u8>, PortError> {
    let media = wire.media(sid)?;
    let mut response = follow(wire, with_channels(&media, "2")).await?;
    if response.status().as_u16() == 400 {
        response = follow(wire, with_channels(&media, "1")).await?;
    }
    sound(response).await
}

fn with_channels(media: &Url, channels: &str) -> Url {
    let mut url = media.clone();
    url.query_pairs_mut().append_pair("RequestedChannels", channels);
    url
}

async fn follow(wire: &Wire, start: Url) -> Result<Response, PortError> {
    let mut url = start;
    for _ in 0..=MAX_HOPS {
        let response = wire.open(&url).await.map_err(Trip::port_error)?;
        if !response.status().is_redirection() {
            return Ok(response);
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        url = next_stop(wire, &url, location)?;
    }
    Err(PortError::Permanent("the recording is redirected without end".to_owned()))
}

/// Where a redirect may lead: home, or by https to a host with a name.
fn next_stop(wire: &Wire, from: &Url, location: Option<&str>) -> Result<Url, PortError> {
    let next = location.and_then(|location| from.join(location).ok());
    match next {
        Some(url) if wire.is_home(&url) => Ok(url),
        Some(url) if url.scheme() == "https" && has_name(&url) => Ok(url),
        _ => Err(PortError::Permanent("the recording is redirected to where it cannot be".to_owned())),
    }
}

/// Addresses and local names are inside somebody's network, never a storage host.
fn has_name(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let mut labels = name.trim_end_matches('.').rsplit('.');
            labels.next() != Some("local") && labels.next().is_some()
        }
        _ => false,
    }
}

async fn sound(mut response: Response) -> Result<Vec<u8>, PortError> {
    if !response.status().is_success() {
        let status = response.status().as_u16();
        let body = read_up_to(&mut response, ERROR_BYTES).await.ok();
        return Err(answer::refused(&Reply { status, retry_after: None, body }));
    }
    match read_up_to(&mut response, SOUND_BYTES).await {
        Ok(sound) if sound.starts_with(b"RIFF") => Ok(sound),
        Ok(_) => Err(PortError::Transient("the recording is not a wav file".to_owned())),
        Err(Unread::TooLong) => Err(PortError::Permanent("the recording is too long to keep".to_owned())),
        Err(Unread::Broken) => Err(Trip::Broken.port_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(base: &str, location: Option<&str>) -> Option<String> {
        let wire = Wire::new("AC1", "secret".into(), base.parse().unwrap()).unwrap();
        let from = wire.media("RE1").unwrap();
        next_stop(&wire, &from, location).ok().map(|url| url.to_string())
    }

    #[test]
    fn redirects_lead_home_or_by_https_to_a_named_host() {
        let home = "https://api.example";
        let storage = "https://media.example/RE1?signature=x";
        assert_eq!(allowed(home, Some(storage)).as_deref(), Some(storage));
        assert_eq!(allowed(home, Some("/elsewhere")).as_deref(), Some("https://api.example/elsewhere"));
        assert_eq!(allowed("http://127.0.0.1:9", Some("/x")).as_deref(), Some("http://127.0.0.1:9/x"));
        for inside in [
            "http://media.example/",
            "https://169.254.169.254/latest",
            "https://[::1]/",
            "https://localhost/",
            "https://printer.local/",
            "file:///etc/passwd",
            "ftp://media.example/",
        ] {
            assert_eq!(allowed(home, Some(inside)), None, "{inside}");
        }
        assert_eq!(allowed("http://127.0.0.1:9", Some("http://127.0.0.1:10/x")), None, "another port is another host");
        assert_eq!(allowed(home, None), None);
    }
}
