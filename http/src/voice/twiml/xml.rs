//! Just enough XML: elements with attributes, children and text, escaped on the way out.

use std::fmt::{Display, Write as _};

/// An element of a script.
#[derive(Debug, Clone)]
pub(super) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Self>,
}

impl Element {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), text: String::new(), children: Vec::new() }
    }

    pub(super) fn attribute(mut self, name: &'static str, value: impl Display) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    pub(super) fn optional(self, name: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.attribute(name, value),
            None => self,
        }
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        text.clone_into(&mut self.text);
        self
    }

    pub(super) fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// The element as a document of its own.
    pub(super) fn document(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.name);
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}=\"{}\"", escaped(value, true)); // writing to a string cannot fail
        }
        if self.text.is_empty() && self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        out.push_str(&escaped(&self.text, false));
        for child in &self.children {
            child.write(out);
        }
        let _ = write!(out, "</{}>", self.name); // writing to a string cannot fail
    }
}

/// Escapes what means something in XML and drops what XML 1.0 cannot carry at all.
fn escaped(text: &str, attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars().filter(|c| is_legal(*c)) {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\r' => out.push_str("&#13;"), // a parser would turn a bare one into a line feed
            '\n' | '\t' if attribute => {
                let _ = write!(out, "&#{};", u32::from(character)); // writing to a string cannot fail
            }
            other => out.push(other),
        }
    }
    out
}

/// The `Char` production of XML 1.0; surrogates are no `char` anyway.
fn is_legal(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_text_stays_text() {
        let say = Element::new("Say").attribute("language", "en\"><Hangup/>").text("</Say><Dial>\"'&");
        assert_eq!(
            say.document(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Say language=\"en&quot;&gt;&lt;Hangup/&gt;\">\
             &lt;/Say&gt;&lt;Dial&gt;&quot;&apos;&amp;</Say>"
        );
    }

    #[test]
    fn what_xml_cannot_carry_is_dropped_and_the_rest_kept() {
        assert_eq!(escaped("a\u{0}\u{8}\u{1B}\u{FFFE}\u{FFFF}b\tc\nd\re Tēnā 🏠", false), "ab\tc\nd&#13;e Tēnā 🏠");
        assert_eq!(escaped("a\tb\nc", true), "a&#9;b&#10;c");
    }

    #[test]
    fn an_element_without_content_closes_itself() {
        assert!(Element::new("Response").document().ends_with("<Response/>"));
    }
}
