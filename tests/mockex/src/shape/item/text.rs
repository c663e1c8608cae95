//! Bodies, and texts made of them.

use crate::content::Content;
use crate::shape::BodyType;

/// The characters of a preview.
const PREVIEW: usize = 255;

/// The type and text of a body.
pub fn body(content: &Content, wanted: BodyType) -> (&'static str, String) {
    match (wanted, &content.html, &content.text) {
        (BodyType::Text, ..) => ("Text", body_text(content)),
        (_, Some(html), _) => ("HTML", html.clone()),
        (BodyType::Html, None, text) => {
            let text = escaped(text.as_deref().unwrap_or_default());
            ("HTML", format!("<html><body><pre>{text}</pre></body></html>"))
        }
        (BodyType::Best, None, text) => ("Text", text.clone().unwrap_or_default()),
    }
}

/// The body as text: the message's own, or what is left of its HTML.
pub fn body_text(content: &Content) -> String {
    match (&content.text, &content.html) {
        (Some(text), _) => text.clone(),
        (None, Some(html)) => plain(html),
        (None, None) => String::new(),
    }
}

/// The start of a text, as previews show it.
pub fn cut(text: &str) -> &str {
    text.char_indices().nth(PREVIEW).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Without the markup; the common character references resolved.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' if inside => inside = false,
            _ if !inside => text.push(character),
            _ => {}
        }
    }
    [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (reference, character)| text.replace(reference, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_body_type_is_made_of_what_there_is() {
        let html = Content { html: Some("<p>a &lt; b</p>".to_owned()), ..Content::default() };
        let text = Content { text: Some("a < b".to_owned()), ..Content::default() };
        assert_eq!(body(&html, BodyType::Best), ("HTML", "<p>a &lt; b</p>".to_owned()));
        assert_eq!(body(&html, BodyType::Text), ("Text", "a < b".to_owned()));
        assert_eq!(body(&text, BodyType::Best), ("Text", "a < b".to_owned()));
        assert_eq!(body(&text, BodyType::Html).1, "<html><body><pre>a &lt; b</pre></body></html>");
    }

    #[test]
    fn previews_are_cut_by_characters() {
        let long = "š".repeat(300);
        assert_eq!((cut(&long).chars().count(), cut("short")), (255, "short"));
    }
}
