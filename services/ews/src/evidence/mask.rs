//! Takes the content of messages out of an answer, so that evidence can be stored and shown.

/// Elements whose text is diagnosis, not content.
const SHOWN: [&str; 17] = [
    "faultcode",
    "faultstring",
    "ResponseCode",
    "MessageText",
    "Message",
    "Value",
    "Line",
    "Position",
    "Violation",
    "ErrorCode",
    "ErrorMessage",
    "Action",
    "RedirectUrl",
    "RedirectTarget",
    "EwsUrl",
    "ASUrl",
    "IncludesLastItemInRange",
];

/// The beginning of an answer. Of an XML message, texts other than diagnoses are replaced by their length; other things, such
/// as web pages, stay.
pub(super) fn mask(text: &str, limit: usize) -> String {
    let start = text.get(..text.floor_char_boundary(limit.saturating_mul(4))).unwrap_or(text);
    let is_message = start.contains("Envelope") || start.contains("Autodiscover");
    if !is_message {
        return start.to_owned();
    }
    let mut masked = String::with_capacity(limit);
    let mut name = "";
    let mut rest = start;
    while !rest.is_empty() && masked.len() < limit {
        let (content, after) = rest.find('<').map_or((rest, ""), |at| rest.split_at(at));
        if SHOWN.contains(&name) || content.trim().is_empty() {
            masked.push_str(content);
        } else {
            masked.push_str(&format!("[{} characters]", content.chars().count()));
        }
        let end = if after.starts_with("<![CDATA[") { "]]>" } else { ">" };
        let (tag, after) = after.find(end).map_or((after, ""), |at| after.split_at(at + end.len()));
        masked.push_str(if end == ">" { tag } else { "[character data]" });
        name = opened(tag);
        rest = after;
    }
    masked
}

/// The local name of the element that a tag opens.
fn opened(tag: &str) -> &str {
    let inner = tag.trim_start_matches('<');
    let qualified = inner.split([' ', '>', '/', '\r', '\n', '\t']).next().unwrap_or_default();
    qualified.rsplit_once(':').map_or(qualified, |(_, local)| local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_hidden_and_diagnosis_shown() {
        let answer = "<s:Envelope><m:MessageText>Access denied.</m:MessageText><m:ResponseCode>ErrorAccessDenied</m:ResponseCode>\
            <t:Subject>Secret plan</t:Subject><t:MimeContent CharacterSet=\"UTF-8\">U2VjcmV0</t:MimeContent><t:Body><![CDATA[<b>Secret</b>]]></t:Body></s:Envelope>";
        let masked = mask(answer, 4096);
        assert!(masked.contains("Access denied.") && masked.contains("ErrorAccessDenied"));
        assert!(masked.contains("<t:Subject>[11 characters]</t:Subject>"), "{masked}");
        assert!(!masked.contains("Secret") && !masked.contains("U2VjcmV0"), "{masked}");
    }

    #[test]
    fn a_cut_answer_is_hidden_too() {
        let masked = mask("<s:Envelope><t:MimeContent>U2VjcmV0U2VjcmV0", 4096);
        assert_eq!(masked, "<s:Envelope><t:MimeContent>[16 characters]");
    }

    #[test]
    fn pages_stay() {
        assert_eq!(mask("<html><title>Sign in</title>", 4096), "<html><title>Sign in</title>");
    }
}
