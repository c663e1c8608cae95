//! HTML made safe for display in the CRM.

use std::{collections::HashSet, sync::LazyLock};

/// What Outlook writes besides the usual, and does no harm.
const STYLE: [&str; 3] = ["style", "class", "align"];

/// HTML without scripts, forms, frames and handlers. Images inside the message (`cid:`) and of the web stay; whoever displays it decides
/// about loading the latter. The document's own style sheet is dropped with its head.
pub fn safe_html(html: &str) -> String {
    CLEANER.clean(html).to_string()
}

/// Its tables are large: made once, not for each message.
static CLEANER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = ammonia::Builder::default();
    cleaner
        .add_generic_attributes(STYLE)
        .add_tags(["font"])
        .add_tag_attributes("font", ["color", "face", "size"])
        .add_url_schemes(["cid"])
        .filter_style_properties(HashSet::from(PROPERTIES))
        .clean_content_tags(HashSet::from(["script", "style", "title"]));
    cleaner
});

/// The properties of style attributes that change how text looks, and nothing else: none positions or loads anything.
const PROPERTIES: [&str; 25] = [
    "background-color",
    "border",
    "border-bottom",
    "border-collapse",
    "border-left",
    "border-right",
    "border-top",
    "color",
    "direction",
    "font",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "height",
    "line-height",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "padding",
    "text-align",
    "text-decoration",
    "width",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::safe_html;

    #[test]
    fn style_that_could_cover_the_page_is_dropped() {
        let safe = safe_html("<p style=\"color: red; position: fixed; background: url(https://x.example)\">a</p>");
        assert!(safe.contains("color") && !safe.contains("position") && !safe.contains("url"), "{safe}");
    }

    proptest! {
        #[test]
        fn nothing_active_gets_through(html in "(<|/|script|img|onerror|=|\"|\'|>|svg|iframe|javascript:|a| |href){0,40}") {
            let safe = safe_html(&html).to_lowercase();
            for active in ["<script", "<iframe", "<svg"] {
                prop_assert!(!safe.contains(active), "{}", safe);
            }
            prop_assert_eq!(safe_html(&safe), safe);
        }
    }
}
