//! The table of settings.

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Its default.
    pub default: &'static str,
    /// What it may be.
    pub range: &'static str,
    /// What it does.
    pub effect: &'static str,
}

const fn row(name: &'static str, default: &'static str, range: &'static str, effect: &'static str) -> Row {
    Row { name, default, range, effect }
}

/// All settings, by subject.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("header-correlation", "yes", "yes, no", "In-Reply-To, References and conversation index tell what a message answers"),
    row("forwards-are-no-replies", "no", "yes, no", "A forwarded message does not answer what its headers name"),
    row("tracking-token", "yes", "yes, no", "Sent email gets a tracking token in its subject, and answers are found by it"),
    row("tracking-token-prefix", "CRM:", "1-20 characters", "What tokens begin with; earlier prefixes are still found"),
    row("tracking-token-past-prefixes", "", "words", "Prefixes that were used before"),
    row("tracking-token-user-digits", "3", "1-10", "Digits of the user number in tokens"),
    row("tracking-token-base", "0", "0-2147483647", "The first user's number is one more"),
    row("tracking-token-counter-digits", "3", "1-9", "Digits of the message counter in tokens"),
    row("smart-matching", "no", "yes, no", "Subject and addresses tell what a message answers, if nothing else does"),
    row("smart-matching-subject-delta", "0", "0-100", "By how many words the subjects may differ"),
    row("smart-matching-most", "20", "1-100", "Only so many words and addresses are compared"),
    row("smart-matching-least-addresses", "2", "1-100", "Addresses that must be common"),
    row("most-subject-characters", "255", "255-400", "The longest subject of sent email, token included"),
    row("only-syncing-mailbox-filters", "no", "yes, no", "Only the mailbox being processed is asked whether it accepts a message"),
    row("forced-filtering-method", "no", "no, 0-4", "The filtering method of all users' mailboxes"),
    row("ignore-internal-email", "no", "yes, no", "Email between users that the CRM has as sent is not tracked as received"),
    row("internal-email-needs-sent-copy", "yes", "yes, no", "... only if the CRM has the sent email; `no` goes by the parties alone"),
    row("internal-email-to-queues", "yes", "yes, no", "... but queues still get email of users"),
    row("ignore-internal-email-from-queues", "no", "yes, no", "... also email that queues sent"),
    row("queue-items-for-accepting-queues", "yes", "yes, no", "Each queue that accepts a message gets a queue item"),
    row("queue-item-for-syncing-mailbox", "yes", "yes, no", "The queue whose mailbox is processed gets a queue item, also by Bcc"),
    row("queue-items-for-tracked-email", "no", "yes, no", "Queue items are also made where the email was tracked before"),
    row("unresolve-ambiguous-sender", "no", "yes, no", "A sender whose address several records have stays unresolved"),
    row("unresolve-ambiguous-recipients", "no", "yes, no", "A recipient whose address several records have stays unresolved"),
    row("resolve-inactive-records", "no", "yes, no", "Inactive records become recipients too"),
    row("create-sender", "no", "no, contact, lead", "The record that is created for an unknown sender"),
    row("track-sent-items", "no", "yes, no", "Email that users sent from Outlook is tracked by the same filtering methods"),
    row("folder-tracking", "yes", "yes, no", "Folders under the Inbox can be tracked"),
    row("most-tracked-folders", "25", "1-25", "Tracked folders of one mailbox"),
    row("track-categorized", "yes", "yes, no", "The category tracks and untracks messages; tracked messages are marked with it"),
    row("tracked-category", "Tracked to Dynamics 365", "a category", "The name of that category"),
    row("undeliverable-category", "Tracked to Dynamics 365 (Undeliverable)", "a category", "The category of messages that failed too often"),
    row("restrict-protected-email", "no", "yes, no", "Protected (IRM) messages are not tracked"),
    row("save-sent-email", "yes", "yes, no", "Sent email is saved to Sent Items"),
    row("send-through-submitter", "no", "yes, no", "Email is sent through the mailbox of who submitted it (send as, send on behalf)"),
];
