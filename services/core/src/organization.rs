//! The organization's settings that concern synchronization (spec §11). One table: name, default, range and effect; the
//! command line, errors and documentation print from it.

use std::collections::BTreeMap;

use crate::{
    Refusal,
    fault::Code,
    mailbox::FilteringMethod,
    record,
    refusal::{required, within},
};

mod aggregate;
mod table;

pub use aggregate::{Command, Event, ID, Rules};
pub use table::{ROWS, Row};

/// What tracking tokens look like (spec §3.4): prefix, the digit that old versions used, user number, message counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Whether tokens are given and looked for.
    pub enabled: bool,
    /// 1-20 characters, without white space.
    pub prefix: String,
    /// Prefixes that were used before; tokens with them are still found.
    pub past_prefixes: Vec<String>,
    /// Digits of the user number, 1-10.
    pub user_digits: u32,
    /// The first user's number is one more.
    pub base: u32,
    /// Digits of the message counter, 1-9.
    pub counter_digits: u32,
}

/// When two emails are alike (spec §3.4, smart matching).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmartSettings {
    /// Whether it is used.
    pub enabled: bool,
    /// By how many words the subjects may differ.
    pub subject_delta: u32,
    /// Only the first words and addresses count.
    pub most: u32,
    /// Addresses that must be common.
    pub least_addresses: u32,
}

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that an administrator sets")]
pub struct Settings {
    /// Whether headers and the conversation index correlate.
    pub header_correlation: bool,
    /// Whether a forwarded message does not answer what its headers name.
    pub forwards_are_no_replies: bool,
    /// Tracking tokens.
    pub token: TokenSettings,
    /// Smart matching.
    pub smart: SmartSettings,
    /// The longest subject that a mail server takes, token included; 255-400 characters.
    pub most_subject: u32,
    /// Whether only the mailbox that is processed is asked whether it accepts a message.
    pub only_syncing_mailbox: bool,
    /// The filtering method of all users, whatever their mailboxes say.
    pub forced_filtering: Option<FilteringMethod>,
    /// Whether mail between users that the CRM has as sent is not tracked as received too.
    pub ignore_internal: bool,
    /// With `ignore_internal`: only if the sent email is in the CRM; otherwise by the parties alone.
    pub internal_needs_copy: bool,
    /// With `ignore_internal`: queues still get mail of users.
    pub internal_to_queues: bool,
    /// With `ignore_internal`: mail of queues is ignored as well.
    pub ignore_internal_from_queues: bool,
    /// Whether each queue that accepts a message gets an item.
    pub queue_items_for_accepting: bool,
    /// Whether the queue whose mailbox is processed gets an item.
    pub queue_item_for_syncing: bool,
    /// Whether queues get items also where the email was tracked before.
    pub queue_items_for_tracked: bool,
    /// Whether a sender whose address several records have stays unresolved.
    pub ambiguous_sender_unresolved: bool,
    /// The same for recipients.
    pub ambiguous_recipients_unresolved: bool,
    /// Whether inactive records are recipients too.
    pub resolve_inactive: bool,
    /// The record that is created for an unknown sender.
    pub create_sender: Option<record::Kind>,
    /// Whether sent mail of users is tracked by the same filtering methods.
    pub track_sent_items: bool,
    /// Whether folders can be tracked.
    pub folder_tracking: bool,
    /// At most so many folders of a mailbox, 1-25.
    pub most_folders: u32,
    /// Whether messages are tracked by the category, and marked with it.
    pub track_categorized: bool,
    /// The category's name.
    pub category: String,
    /// The category of messages that failed too often.
    pub undeliverable_category: String,
    /// Whether protected (IRM) mail is passed over.
    pub restrict_protected: bool,
    /// Whether sent mail is saved to Sent Items.
    pub save_sent: bool,
    /// Whether mail is sent through the mailbox of who submitted it instead of who it is from.
    pub send_through_submitter: bool,
}

impl Default for Settings {
    fn default() -> Self {
        // The table's defaults are checked by a test.
        Self {
            header_correlation: true,
            forwards_are_no_replies: false,
            token: TokenSettings {
                enabled: true,
                prefix: "CRM:".to_owned(),
                past_prefixes: Vec::new(),
                user_digits: 3,
                base: 0,
                counter_digits: 3,
            },
            smart: SmartSettings { enabled: false, subject_delta: 0, most: 20, least_addresses: 2 },
            most_subject: 255,
            only_syncing_mailbox: false,
            forced_filtering: None,
            ignore_internal: false,
            internal_needs_copy: true,
            internal_to_queues: true,
            ignore_internal_from_queues: false,
            queue_items_for_accepting: true,
            queue_item_for_syncing: true,
            queue_items_for_tracked: false,
            ambiguous_sender_unresolved: false,
            ambiguous_recipients_unresolved: false,
            resolve_inactive: false,
            create_sender: None,
            track_sent_items: false,
            folder_tracking: true,
            most_folders: 25,
            track_categorized: true,
            category: "Tracked to Dynamics 365".to_owned(),
            undeliverable_category: "Tracked to Dynamics 365 (Undeliverable)".to_owned(),
            restrict_protected: false,
            save_sent: true,
            send_through_submitter: false,
        }
    }
}

impl Settings {
    /// The settings that entries make of the defaults; entries that cannot be read are given back and change nothing.
    pub fn read<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Self, Vec<Refusal>) {
        let mut settings = Self::default();
        let refusals = entries.into_iter().filter_map(|(name, value)| settings.set(name, value).err()).collect();
        (settings, refusals)
    }

    /// The entries that differ from the defaults.
    pub fn entries(&self) -> BTreeMap<String, String> {
        let (own, usual) = (self.values(), Self::default().values());
        let differs = |(name, value): (&'static str, String)| {
            (usual.iter().find(|(known, _)| *known == name).map(|(_, text)| text) != Some(&value))
                .then(|| (name.to_owned(), value))
        };
        own.into_iter().filter_map(differs).collect()
    }

    /// Sets one by its name; an empty value brings the default back.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let Some(row) = ROWS.iter().find(|row| row.name == name) else {
            let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            let rule = format!("is no setting; there are {}", names.join(", "));
            return Err(Refusal::new(Code::ValueOutOfRange, name, rule));
        };
        let value = value.trim();
        let value = if value.is_empty() { row.default } else { value };
        let flag = || switch(name, value);
        let number = |least, most| number(name, value, least, most);
        match name {
            "header-correlation" => self.header_correlation = flag()?,
            "forwards-are-no-replies" => self.forwards_are_no_replies = flag()?,
            "tracking-token" => self.token.enabled = flag()?,
            "tracking-token-prefix" => {
                let prefix = prefix(name, value)?;
                if prefix != self.token.prefix && !self.token.past_prefixes.contains(&self.token.prefix) {
                    self.token.past_prefixes.push(self.token.prefix.clone());
                }
                self.token.past_prefixes.retain(|past| *past != prefix);
                self.token.prefix = prefix;
            }
            "tracking-token-past-prefixes" => {
                let words = value.split_whitespace().map(|word| prefix(name, word));
                self.token.past_prefixes = words.collect::<Result<_, _>>()?;
            }
            "tracking-token-user-digits" => self.token.user_digits = number(1, 10)?,
            "tracking-token-base" => self.token.base = number(0, 2_147_483_647)?,
            "tracking-token-counter-digits" => self.token.counter_digits = number(1, 9)?,
            "smart-matching" => self.smart.enabled = flag()?,
            "smart-matching-subject-delta" => self.smart.subject_delta = number(0, 100)?,
            "smart-matching-most" => self.smart.most = number(1, 100)?,
            "smart-matching-least-addresses" => self.smart.least_addresses = number(1, 100)?,
            "most-subject-characters" => self.most_subject = number(255, 400)?,
            "only-syncing-mailbox-filters" => self.only_syncing_mailbox = flag()?,
            "forced-filtering-method" => self.forced_filtering = method(name, value)?,
            "ignore-internal-email" => self.ignore_internal = flag()?,
            "internal-email-needs-sent-copy" => self.internal_needs_copy = flag()?,
            "internal-email-to-queues" => self.internal_to_queues = flag()?,
            "ignore-internal-email-from-queues" => self.ignore_internal_from_queues = flag()?,
            "queue-items-for-accepting-queues" => self.queue_items_for_accepting = flag()?,
            "queue-item-for-syncing-mailbox" => self.queue_item_for_syncing = flag()?,
            "queue-items-for-tracked-email" => self.queue_items_for_tracked = flag()?,
            "unresolve-ambiguous-sender" => self.ambiguous_sender_unresolved = flag()?,
            "unresolve-ambiguous-recipients" => self.ambiguous_recipients_unresolved = flag()?,
            "resolve-inactive-records" => self.resolve_inactive = flag()?,
            "create-sender" => self.create_sender = sender_kind(name, value)?,
            "track-sent-items" => self.track_sent_items = flag()?,
            "folder-tracking" => self.folder_tracking = flag()?,
            "most-tracked-folders" => self.most_folders = number(1, 25)?,
            "track-categorized" => self.track_categorized = flag()?,
            "tracked-category" => self.category = category(name, value)?,
            "undeliverable-category" => self.undeliverable_category = category(name, value)?,
            "restrict-protected-email" => self.restrict_protected = flag()?,
            "save-sent-email" => self.save_sent = flag()?,
            "send-through-submitter" => self.send_through_submitter = flag()?,
            _ => return Err(Refusal::new(Code::Internal, name, "has a row and no meaning")),
        }
        Ok(())
    }

    /// Every setting with its value as text, in the table's order.
    pub fn values(&self) -> Vec<(&'static str, String)> {
        let flag = |value: bool| (if value { "yes" } else { "no" }).to_owned();
        let value = |name: &str| match name {
            "header-correlation" => flag(self.header_correlation),
            "forwards-are-no-replies" => flag(self.forwards_are_no_replies),
            "tracking-token" => flag(self.token.enabled),
            "tracking-token-prefix" => self.token.prefix.clone(),
            "tracking-token-past-prefixes" => self.token.past_prefixes.join(" "),
            "tracking-token-user-digits" => self.token.user_digits.to_string(),
            "tracking-token-base" => self.token.base.to_string(),
            "tracking-token-counter-digits" => self.token.counter_digits.to_string(),
            "smart-matching" => flag(self.smart.enabled),
            "smart-matching-subject-delta" => self.smart.subject_delta.to_string(),
            "smart-matching-most" => self.smart.most.to_string(),
            "smart-matching-least-addresses" => self.smart.least_addresses.to_string(),
            "most-subject-characters" => self.most_subject.to_string(),
            "only-syncing-mailbox-filters" => flag(self.only_syncing_mailbox),
            "forced-filtering-method" => {
                self.forced_filtering.map_or_else(|| "no".to_owned(), |method| method.number().to_string())
            }
            "ignore-internal-email" => flag(self.ignore_internal),
            "internal-email-needs-sent-copy" => flag(self.internal_needs_copy),
            "internal-email-to-queues" => flag(self.internal_to_queues),
            "ignore-internal-email-from-queues" => flag(self.ignore_internal_from_queues),
            "queue-items-for-accepting-queues" => flag(self.queue_items_for_accepting),
            "queue-item-for-syncing-mailbox" => flag(self.queue_item_for_syncing),
            "queue-items-for-tracked-email" => flag(self.queue_items_for_tracked),
            "unresolve-ambiguous-sender" => flag(self.ambiguous_sender_unresolved),
            "unresolve-ambiguous-recipients" => flag(self.ambiguous_recipients_unresolved),
            "resolve-inactive-records" => flag(self.resolve_inactive),
            "create-sender" => self.create_sender.map_or("no", record::Kind::label).to_owned(),
            "track-sent-items" => flag(self.track_sent_items),
            "folder-tracking" => flag(self.folder_tracking),
            "most-tracked-folders" => self.most_folders.to_string(),
            "track-categorized" => flag(self.track_categorized),
            "tracked-category" => self.category.clone(),
            "undeliverable-category" => self.undeliverable_category.clone(),
            "restrict-protected-email" => flag(self.restrict_protected),
            "save-sent-email" => flag(self.save_sent),
            "send-through-submitter" => flag(self.send_through_submitter),
            _ => String::new(),
        };
        ROWS.iter().map(|row| (row.name, value(row.name))).collect()
    }
}

fn wrong(name: &str, value: &str, rule: &str) -> Refusal {
    Refusal::new(Code::ValueOutOfRange, name, format!("`{value}` is {rule}"))
}

fn switch(name: &str, value: &str) -> Result<bool, Refusal> {
    match value.to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(wrong(name, value, "neither yes nor no")),
    }
}

fn number(name: &str, value: &str, least: u32, most: u32) -> Result<u32, Refusal> {
    let number: u32 = value.parse().map_err(|_| wrong(name, value, "no whole number"))?;
    within(name, u64::from(number), u64::from(least), u64::from(most))?;
    Ok(number)
}

fn prefix(name: &str, value: &str) -> Result<String, Refusal> {
    required(name, value, 20)?;
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) || value.ends_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong(name, value, "no prefix: it has no white space and does not end with a digit"));
    }
    Ok(value.to_owned())
}

fn category(name: &str, value: &str) -> Result<String, Refusal> {
    required(name, value, 255)?;
    // Outlook separates categories by these.
    if value.contains([',', ';']) {
        return Err(wrong(name, value, "no category: it contains neither comma nor semicolon"));
    }
    Ok(value.to_owned())
}

fn method(name: &str, value: &str) -> Result<Option<FilteringMethod>, Refusal> {
    if value.eq_ignore_ascii_case("no") {
        return Ok(None);
    }
    let method = value.parse().ok().and_then(FilteringMethod::by_number);
    method.map(Some).ok_or_else(|| wrong(name, value, "neither `no` nor one of 0, 1, 2, 3, 4"))
}

fn sender_kind(name: &str, value: &str) -> Result<Option<record::Kind>, Refusal> {
    match value.to_lowercase().as_str() {
        "no" => Ok(None),
        "contact" => Ok(Some(record::Kind::Contact)),
        "lead" => Ok(Some(record::Kind::Lead)),
        _ => Err(wrong(name, value, "none of no, contact, lead")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_the_defaults_agree() {
        let values = Settings::default().values();
        for row in ROWS {
            let value = values.iter().find(|(name, _)| *name == row.name).map(|(_, value)| value.as_str());
            assert_eq!(value, Some(row.default), "{}", row.name);
            let mut settings = Settings::default();
            settings.set(row.name, row.default).unwrap_or_else(|refusal| assert!(row.default.is_empty(), "{refusal}"));
            assert_eq!(settings, Settings::default(), "{}", row.name);
        }
        assert!(Settings::default().entries().is_empty());
    }

    #[test]
    fn what_is_set_is_read_back() {
        let mut settings = Settings::default();
        for (name, value) in [("smart-matching", "on"), ("forced-filtering-method", "1"), ("create-sender", "lead")] {
            settings.set(name, value).unwrap();
        }
        settings.set("tracking-token-prefix", "ACME#").unwrap();
        assert_eq!(settings.token.past_prefixes, ["CRM:"]);
        let entries = settings.entries();
        assert_eq!(entries.len(), 5, "{entries:?}");
        // The prefixes must not depend on the order in which they are read.
        let (read, refusals) = Settings::read(entries.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!((read, refusals), (settings.clone(), Vec::new()));
        settings.set("smart-matching", "").unwrap();
        assert!(!settings.smart.enabled);
    }

    #[test]
    fn bad_values_name_the_setting_and_change_nothing() {
        for (name, value) in [
            ("smart-matching", "maybe"),
            ("most-tracked-folders", "26"),
            ("most-subject-characters", "254"),
            ("tracking-token-prefix", "CRM 1"),
            ("tracking-token-prefix", "CRM1"),
            ("tracked-category", "a,b"),
            ("forced-filtering-method", "5"),
            ("create-sender", "account"),
            ("no-such-setting", "1"),
        ] {
            let mut settings = Settings::default();
            let refusal = settings.set(name, value).unwrap_err();
            assert_eq!((refusal.field.as_str(), settings), (name, Settings::default()), "{value}");
        }
    }
}
