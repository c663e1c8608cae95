//! Between `alert.proto` and the view.

use postroad_core::{
    Refusal,
    alert::{Level, Regarding},
    fault::{Code, Report},
};
use postroad_proto::alert::v1 as wire;
use postroad_rig::{status, wire::timestamp};

use crate::view::{Entry, Filter, View};

/// A filter; names are looked up in the view.
pub fn filter(view: &View, filter: Option<wire::AlertFilter>) -> Result<Filter, Refusal> {
    let filter = filter.unwrap_or_default();
    let unknown = |_| Refusal::new(Code::ValueOutOfRange, "filter.least", format!("{} is not known", filter.least));
    let least = match wire::Level::try_from(filter.least).map_err(unknown)? {
        wire::Level::Unspecified => None,
        wire::Level::Information => Some(Level::Information),
        wire::Level::Warning => Some(Level::Warning),
        wire::Level::Error => Some(Level::Error),
    };
    let profile = look_up("filter.profile", &filter.profile, |text| view.find_profile(text))?;
    let mailbox = look_up("filter.mailbox", &filter.mailbox, |text| view.find_mailbox(text))?;
    Ok(Filter { least, profile, mailbox, resolved: filter.resolved })
}

fn look_up<T>(field: &str, text: &str, find: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let shown: String = text.chars().take(100).collect();
    find(text).map(Some).ok_or_else(|| Refusal::new(Code::NotFound, field, format!("there is no `{shown}`")))
}

/// An alert for the wire.
pub fn alert(entry: &Entry) -> wire::Alert {
    let alert = &entry.alert;
    wire::Alert {
        id: entry.id(),
        level: match alert.level {
            Level::Information => wire::Level::Information,
            Level::Warning => wire::Level::Warning,
            Level::Error => wire::Level::Error,
        }
        .into(),
        regarding: Some(match alert.key.regarding {
            Regarding::Profile(id) => wire::alert::Regarding::ProfileId(id.to_string()),
            Regarding::Mailbox(id) => wire::alert::Regarding::MailboxId(id.to_string()),
        }),
        regarding_name: entry.name.clone(),
        text: alert.text.clone(),
        fault: alert.code.map(|code| status::to_wire(&Report::new(code, detail(code, &alert.text)))),
        first_at: Some(timestamp(alert.first_at)),
        last_at: Some(timestamp(alert.last_at)),
        count: alert.count,
        mailboxes: u32::try_from(alert.mailboxes.len()).unwrap_or(u32::MAX),
        resolved_at: alert.resolved_at.map(timestamp),
    }
}

/// What was seen, out of the sentence that [`Report::sentence`] made.
fn detail(code: Code, text: &str) -> &str {
    let rest = text.strip_prefix(code.row().what).unwrap_or_default();
    rest.strip_prefix(" (").and_then(|rest| rest.strip_suffix(')')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detail_of_a_sentence_is_found_again() {
        for seen in ["", "mail.contoso.example (443)"] {
            assert_eq!(detail(Code::ConnectRefused, &Report::new(Code::ConnectRefused, seen).sentence()), seen);
        }
        assert_eq!(detail(Code::ConnectRefused, "something else"), "");
    }
}
