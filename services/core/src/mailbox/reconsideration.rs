//! What changed settings would make of past messages: the same rules, over the facts that were kept with the verdicts.

use super::{
    Acceptance, Decision, Facts, FilteringMethod, From, Listed, Reason, Recipient, Verdict, judge, judge_listed,
};
use crate::organization::Settings;

/// The settings to try.
pub struct Trial<'a> {
    /// The organization's.
    pub settings: &'a Settings,
    /// Process Email From of the mailbox.
    pub from: From,
    /// The filtering method of a mailbox by its address; nothing for one that is gone.
    pub method: &'a (dyn Fn(&str) -> Option<FilteringMethod> + Sync),
    /// The filtering method of the mailbox itself.
    pub own_method: FilteringMethod,
}

/// What would become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconsidered {
    /// This.
    Decided(Result<Acceptance, Reason>),
    /// It was passed over unread, and would be read now.
    Unread,
    /// Settings do not matter: it is no email, it is gone, or it failed.
    Kept,
}

/// What would become of a message that was decided.
pub fn reconsider(verdict: &Verdict, trial: &Trial<'_>) -> Reconsidered {
    let kept = matches!(
        verdict.decision,
        Decision::NotTracked(Reason::NotEmail(_) | Reason::Gone | Reason::InvalidForward | Reason::Erased)
            | Decision::Undeliverable { .. }
    );
    if kept {
        return Reconsidered::Kept;
    }
    let is_tracked_by_person = verdict.facts.as_ref().is_some_and(|facts| facts.mark.is_some());
    // It is an email, or it would have been kept above.
    let listed = Listed { item: verdict.item.clone(), class: String::new(), categories: Vec::new() };
    if let Some(reason) = judge_listed(&listed, is_tracked_by_person, trial.own_method, trial.from.0) {
        return Reconsidered::Decided(Err(reason));
    }
    match &verdict.facts {
        None => Reconsidered::Unread,
        Some(facts) => Reconsidered::Decided(retry(facts, trial)),
    }
}

/// What would become of a message with these facts, which was read.
pub fn retry(facts: &Facts, trial: &Trial<'_>) -> Result<Acceptance, Reason> {
    let mut facts = facts.clone();
    for (index, recipient) in facts.recipients.iter_mut().enumerate() {
        let method = if index == 0 { Some(trial.own_method) } else { (trial.method)(&recipient.address) };
        *recipient = Recipient { method: method.unwrap_or(recipient.method), ..recipient.clone() };
    }
    judge(&facts, trial.settings).map_err(Reason::from)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{
        email::{Correlation, CorrelationMethod},
        mailbox::{Item, Kind, Mark, RULE_VERSION},
        record,
    };

    /// What does not depend on settings about a message and its world.
    #[derive(Clone, Debug)]
    struct World {
        received: i64,
        mark: Option<Mark>,
        correlations: Vec<Correlation>,
        sender: Option<record::Kind>,
        ambiguous: bool,
        named: Vec<bool>,
        sent_copy: bool,
        forward: bool,
        protected: bool,
    }

    /// What administrators set.
    #[derive(Clone, Debug)]
    struct Rules {
        settings: Settings,
        from: Option<i64>,
        methods: Vec<FilteringMethod>,
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn address(index: usize) -> String {
        format!("mailbox{index}@contoso.example")
    }

    /// As a cycle gathers them.
    fn facts(world: &World, rules: &Rules) -> Facts {
        let recipient = |(index, (named, method)): (usize, (&bool, &FilteringMethod))| Recipient {
            address: address(index),
            method: *method,
            is_named: *named,
            kind: Some(if index % 2 == 0 { Kind::User(Uuid::from_u128(1)) } else { Kind::Queue(Uuid::from_u128(2)) }),
            is_forwarding: false,
        };
        Facts {
            mark: world.mark,
            correlations: world.correlations.clone(),
            sender: world.sender,
            is_sender_ambiguous: world.ambiguous,
            recipients: world.named.iter().zip(&rules.methods).enumerate().map(recipient).collect(),
            sent_copy: world.sent_copy.then(|| Uuid::from_u128(3)),
            is_forward: world.forward,
            is_protected: world.protected,
            ..Facts::default()
        }
    }

    /// As a cycle decides; with the facts, if it read the message.
    fn cycle(world: &World, rules: &Rules) -> (Result<Acceptance, Reason>, Option<Box<Facts>>) {
        let item = Item { id: "a".into(), message_id: None, received: Some(at(world.received)) };
        let listed = Listed { item, class: "IPM.Note".into(), categories: Vec::new() };
        if let Some(reason) = judge_listed(&listed, world.mark.is_some(), rules.methods[0], rules.from.map(at)) {
            return (Err(reason), None);
        }
        let facts = facts(world, rules);
        (judge(&facts, &rules.settings).map_err(Reason::from), Some(Box::new(facts)))
    }

    fn worlds() -> impl Strategy<Value = World> {
        let marks = prop::sample::select(vec![None, None, None, Some(Mark::Category), Some(Mark::Folder)]);
        let correlation = prop::sample::select(CorrelationMethod::ALL.to_vec())
            .prop_map(|method| Correlation { method, email_id: Uuid::from_u128(9) });
        let senders = prop::option::of(prop::sample::select(record::Kind::ALL.to_vec()));
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let named = prop::collection::vec(any::<bool>(), 1..4);
        (0_i64..100, marks, prop::collection::vec(correlation, 0..3), senders, named, flags).prop_map(
            |(received, mark, correlations, sender, named, (ambiguous, sent_copy, forward, protected))| World {
                received,
                mark,
                correlations,
                sender,
                ambiguous,
                named,
                sent_copy,
                forward,
                protected,
            },
        )
    }

    fn rules() -> impl Strategy<Value = Rules> {
        let flags = prop::collection::vec(any::<bool>(), 9);
        let method = || prop::sample::select(FilteringMethod::ALL.to_vec());
        (flags, prop::option::of(method()), prop::option::of(0_i64..100), prop::collection::vec(method(), 4)).prop_map(
            |(flags, forced_filtering, from, methods)| {
                let mut settings = Settings {
                    header_correlation: flags[0],
                    forwards_are_no_replies: flags[1],
                    only_syncing_mailbox: flags[2],
                    ignore_internal: flags[3],
                    internal_needs_copy: flags[4],
                    ambiguous_sender_unresolved: flags[5],
                    restrict_protected: flags[6],
                    forced_filtering,
                    ..Settings::default()
                };
                settings.token.enabled = flags[7];
                settings.smart.enabled = flags[8];
                Rules { settings, from, methods }
            },
        )
    }

    proptest! {
        /// What the trial says of changed settings is what a cycle decides once they are applied.
        #[test]
        fn applying_the_change_gives_exactly_what_was_tried(world in worlds(), then in rules(), now in rules()) {
            let (decided, kept) = cycle(&world, &then);
            let decision = match decided {
                Ok(acceptance) => {
                    Decision::Tracked { email_id: Uuid::nil(), created: true, acceptance: Some(acceptance) }
                }
                Err(reason) => Decision::NotTracked(reason),
            };
            let item = Item { id: "a".into(), message_id: None, received: Some(at(world.received)) };
            let verdict =
                Verdict { item, decision, rule_version: RULE_VERSION, pass: 0, facts: kept, disposal: None };
            let method = |wanted: &str| (0..4).find(|index| address(*index) == wanted).map(|index| now.methods[index]);
            let trial = Trial {
                settings: &now.settings,
                from: From(now.from.map(at)),
                method: &method,
                own_method: now.methods[0],
            };
            let tried = match reconsider(&verdict, &trial) {
                Reconsidered::Decided(tried) => tried,
                // The trial reads it then, as a cycle does.
                Reconsidered::Unread => retry(&facts(&world, &then), &trial),
                Reconsidered::Kept => return Err(TestCaseError::fail("settings matter to an email")),
            };
            prop_assert_eq!(tried, cycle(&world, &now).0);
        }
    }
}
