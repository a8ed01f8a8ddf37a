//! XML as far as a script needs it: elements, attributes, text.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

/// A script may be this long, bytes.
const LONGEST: usize = 64 * 1024;

/// One element with everything in it. Text between child elements is put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a whole document.
///
/// The error says in words what is wrong with it.
pub(crate) fn parse(text: &str) -> Result<Element, String> {
    if text.len() > LONGEST {
        return Err(format!("the script has {} bytes, more than {LONGEST}", text.len()));
    }
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        let event = reader.read_event().map_err(|error| format!("no valid XML: {error}"))?;
        match event {
            Event::Start(start) => open.push(begin(&start)?),
            Event::Empty(start) => close(begin(&start)?, &mut open, &mut root)?,
            Event::End(_) => {
                let element = open.pop().ok_or("no valid XML: an end without a beginning")?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => {
                let text = text.xml10_content().map_err(|error| format!("no valid XML: {error}"))?;
                push_text(&text, &mut open)?;
            }
            Event::CData(data) => {
                let data = data.decode().map_err(|error| format!("no valid XML: {error}"))?;
                push_text(&data, &mut open)?;
            }
            Event::GeneralRef(reference) => push_text(&resolve(&reference)?, &mut open)?,
            Event::DocType(_) => return Err("a document type is not allowed".to_owned()),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    match (root, open.last()) {
        (_, Some(unclosed)) => Err(format!("no valid XML: <{}> is never closed", unclosed.name)),
        (Some(root), None) => Ok(root),
        (None, None) => Err("no valid XML: the document is empty".to_owned()),
    }
}

fn begin(start: &BytesStart<'_>) -> Result<Element, String> {
    let name = utf8(start.name().as_ref())?;
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| format!("no valid XML in <{name}>: {error}"))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| format!("no valid XML in <{name}>: {error}"))?;
        attributes.push((utf8(attribute.key.as_ref())?, value.into_owned()));
    }
    Ok(Element { name, attributes, ..Element::default() })
}

fn close(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), String> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_some() => return Err("no valid XML: more than one root".to_owned()),
        None => *root = Some(element),
    }
    Ok(())
}

fn push_text(text: &str, open: &mut [Element]) -> Result<(), String> {
    if let Some(bad) = text.chars().find(|letter| !is_allowed(*letter)) {
        return Err(format!("no valid XML: the character U+{:04X} is not allowed", u32::from(bad)));
    }
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n']).is_empty() => {}
        None => return Err("no valid XML: text outside of the root".to_owned()),
    }
    Ok(())
}

/// The characters that XML 1.0 can carry.
fn is_allowed(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    let character = reference.resolve_char_ref().map_err(|error| format!("no valid XML: {error}"))?;
    if let Some(character) = character {
        return Ok(character.to_string());
    }
    let name = utf8(reference)?;
    let text = resolve_predefined_entity(&name).ok_or_else(|| format!("no valid XML: &{name}; is unknown"))?;
    Ok(text.to_owned())
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "no valid UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_attributes_and_text_are_read() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><Response>\n <Say language='en-NZ'>Mere &amp; \
                    Co &#8211; <![CDATA[<hi>]]></Say><Hangup/></Response>\n";
        let root = parse(text).unwrap();
        assert_eq!(root.name, "Response");
        assert_eq!(root.children[0].text, "Mere & Co – <hi>");
        assert_eq!(root.children[0].attribute("language"), Some("en-NZ"));
        assert_eq!(root.children[1], Element { name: "Hangup".to_owned(), ..Element::default() });
        let url = parse("<Gather action=\"https://h/x?a=1&amp;b=2\"/>").unwrap();
        assert_eq!(url.attribute("action"), Some("https://h/x?a=1&b=2"));
    }

    #[test]
    fn broken_documents_are_refused_in_words() {
        for bad in [
            "",
            "ok",
            "<Response>",
            "<Response></Say>",
            "</Response>",
            "<Response><Say>a & b</Say></Response>",
            "<Response><Say>&nope;</Say></Response>",
            "<Response/><Response/>",
            "<Response/>trailing",
            "<Response a=1/>",
            "<Response a='1' a='2'/>",
            "<!DOCTYPE x><Response/>",
            "<Response><Say>\u{8}</Say></Response>",
            "<Response><Say>&#1;</Say></Response>",
        ] {
            assert!(parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_refused(text in "[<>/&;a-c'\"= !\\[\\]?#x0-9-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
