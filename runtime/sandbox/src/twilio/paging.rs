//! Lists, a page at a time.

use serde_json::{Value, json};

use super::form::Form;

const DEFAULT_SIZE: usize = 50;
const LARGEST_SIZE: usize = 1000;

/// The sid that the page asked for comes after: the last one of the page before, so that what arrives meanwhile shifts
/// nothing.
pub(crate) fn after(query: &Form) -> Option<&str> {
    query.get("PageToken").and_then(|token| token.strip_prefix("PA"))
}

/// One page as Twilio's JSON under `name`. `found` is newest first and begins after [`after`]; it is read no further than
/// the page goes.
pub(crate) fn page<T>(
    name: &str,
    path: &str,
    query: &Form,
    mut found: impl Iterator<Item = T>,
    sid: impl Fn(&T) -> &str,
    render: impl Fn(&T) -> Value,
) -> Value {
    let asked = query.number("PageSize").and_then(|size| usize::try_from(size).ok());
    let size = asked.unwrap_or(DEFAULT_SIZE).clamp(1, LARGEST_SIZE);
    let number = query.number("Page").unwrap_or(0);
    let start = usize::try_from(number).unwrap_or_default() * size;
    let shown: Vec<T> = found.by_ref().take(size).collect();
    let more = found.next().is_some();
    let kept = query.query_without(&["Page", "PageToken", "PageSize"]);
    let kept = if kept.is_empty() { kept } else { format!("&{kept}") };
    let next = shown
        .last()
        .filter(|_| more)
        .map(|last| format!("{path}?PageSize={size}&Page={}&PageToken=PA{}{kept}", number + 1, sid(last)));
    let first = format!("{path}?PageSize={size}&Page=0{kept}");
    json!({
        name: shown.iter().map(render).collect::<Vec<_>>(),
        "page": number,
        "page_size": size,
        "start": start,
        "end": (start + shown.len()).saturating_sub(1),
        "uri": format!("{path}?PageSize={size}&Page={number}{kept}"),
        "first_page_uri": first,
        "next_page_uri": next,
        "previous_page_uri": Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn following_the_next_page_sees_everything_once_while_more_arrives() {
        let mut found: Vec<String> = (0..5).rev().map(|number| format!("CA{number}")).collect();
        let mut query = Form::parse(b"To=%2B64275559001&PageSize=2");
        let mut seen = Vec::new();
        loop {
            let seen_until = after(&query).and_then(|last| found.iter().position(|sid| sid == last));
            let rest = found.iter().skip(seen_until.map_or(0, |at| at + 1));
            let body = page("calls", "/p.json", &query, rest, |sid| sid, |sid| json!(sid));
            seen.extend(body["calls"].as_array().unwrap().iter().map(|sid| sid.as_str().unwrap().to_owned()));
            let Some(next) = body["next_page_uri"].as_str() else { break };
            assert!(next.contains("To=%2B64275559001"), "{next}");
            query = Form::parse(next.split_once('?').unwrap().1.as_bytes());
            found.insert(0, "CA9".to_owned());
        }
        assert_eq!(seen, ["CA4", "CA3", "CA2", "CA1", "CA0"]);
    }
}
