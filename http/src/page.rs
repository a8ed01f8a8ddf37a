//! Lists come in pages: newest first, and a cursor that says where the next page begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::ApiError;

/// Rows on a page when nobody says how many.
const USUAL: u32 = 50;
/// Most rows on a page.
const MOST: u32 = 200;

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// Newest first.
    pub data: Vec<T>,
    /// Pass it as `cursor` to get the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// Which page is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    limit: usize,
    /// The last row of the page before.
    pub after: Option<(DateTime<Utc>, Uuid)>,
}

impl Wanted {
    /// Reads `limit` and `cursor`.
    ///
    /// # Errors
    ///
    /// 422 for a limit outside 1 to 200 and for a cursor that is not one of ours.
    pub fn read(limit: Option<u32>, cursor: Option<&str>) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(USUAL);
        if !(1..=MOST).contains(&limit) {
            return Err(ApiError::invalid("limit", format!("is not between 1 and {MOST}")));
        }
        let after = match cursor {
            None => None,
            Some(text) => Some(
                parse(text).ok_or_else(|| ApiError::invalid("cursor", "is not the next_cursor of an earlier page"))?,
            ),
        };
        Ok(Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), after })
    }

    /// How many rows to read: one more than are shown tells whether there is another page.
    pub fn rows(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// Cuts what was read to the page, and says where the next one begins.
    pub fn cut<T>(&self, mut rows: Vec<T>, place: impl Fn(&T) -> (DateTime<Utc>, Uuid)) -> (Vec<T>, Option<String>) {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more).map(|last| cursor(place(last)));
        (rows, next)
    }
}

fn cursor((at, id): (DateTime<Utc>, Uuid)) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}|{id}", at.to_rfc3339_opts(SecondsFormat::Micros, true)))
}

fn parse(cursor: &str) -> Option<(DateTime<Utc>, Uuid)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (at, id) = text.split_once('|')?;
    Some((DateTime::parse_from_rfc3339(at).ok()?.with_timezone(&Utc), id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(n: u32) -> (DateTime<Utc>, Uuid) {
        (DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(), Uuid::from_u128(n.into()))
    }

    #[test]
    fn a_cursor_leads_back_to_its_row() {
        let wanted = Wanted::read(Some(2), None).unwrap();
        assert_eq!(wanted.rows(), 3);
        let (rows, next) = wanted.cut(vec![1, 2, 3], |n| place(*n));
        assert_eq!(rows, [1, 2]);
        assert_eq!(Wanted::read(None, next.as_deref()).unwrap().after, Some(place(2)));
    }

    #[test]
    fn the_last_page_has_no_next() {
        let wanted = Wanted::read(Some(2), None).unwrap();
        assert_eq!(wanted.cut(vec![1, 2], |n| place(*n)), (vec![1, 2], None));
        assert_eq!(wanted.cut(Vec::<u32>::new(), |n| place(*n)), (vec![], None));
    }

    #[test]
    fn a_foreign_cursor_or_a_limit_out_of_range_is_refused() {
        for cursor in ["", "x", "!!", &URL_SAFE_NO_PAD.encode("yesterday|1"), &URL_SAFE_NO_PAD.encode([255, 255])] {
            assert_eq!(Wanted::read(None, Some(cursor)).unwrap_err().code(), "invalid", "{cursor:?}");
        }
        for limit in [0, 201] {
            assert_eq!(Wanted::read(Some(limit), None).unwrap_err().code(), "invalid");
        }
    }
}
