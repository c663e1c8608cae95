//! Tracking tokens (spec §3.4): prefix, the digit of old versions, user number, message counter; `CRM:0001002`.

use crate::organization::TokenSettings;

/// The digit that told online from offline clients once; it stays for the shape.
const DIGIT: char = '0';

/// The token of a user's email number `counter`; the counter wraps.
pub fn token(user: u64, counter: u64, settings: &TokenSettings) -> String {
    let TokenSettings { prefix, user_digits, counter_digits, base, .. } = settings;
    let user = user.saturating_add(u64::from(*base));
    let counter = counter % counters(settings);
    let (user_digits, counter_digits) = (*user_digits as usize, *counter_digits as usize);
    format!("{prefix}{DIGIT}{user:0user_digits$}{counter:0counter_digits$}")
}

/// How many counters there are before they begin anew.
pub fn counters(settings: &TokenSettings) -> u64 {
    10_u64.saturating_pow(settings.counter_digits)
}

/// The user and the counter of a token; `None` where it was given under other settings.
pub fn numbers(token: &str, settings: &TokenSettings) -> Option<(u64, u64)> {
    let digits = token.strip_prefix(settings.prefix.as_str())?.strip_prefix(DIGIT)?;
    let (user, counter) = digits.split_at_checked(settings.user_digits as usize)?;
    let user = user.parse::<u64>().ok()?.checked_sub(u64::from(settings.base))?;
    let is_whole = counter.len() == settings.counter_digits as usize;
    Some((user, counter.parse().ok().filter(|_| is_whole)?))
}

/// The tokens in a subject, the last one first: with today's prefix or one that was used before.
pub fn tokens(subject: &str, settings: &TokenSettings) -> Vec<String> {
    let mut found: Vec<(usize, String)> = places(subject, settings)
        .into_iter()
        .filter_map(|(start, end)| Some((start, subject.get(start..end)?.to_owned())))
        .collect();
    found.sort_by_key(|(start, _)| std::cmp::Reverse(*start));
    found.dedup_by(|one, other| one.1 == other.1);
    found.into_iter().map(|(_, token)| token).collect()
}

/// The subject without its tokens.
pub fn without_tokens(subject: &str, settings: &TokenSettings) -> String {
    let mut places = places(subject, settings);
    places.sort_unstable();
    let mut rest = String::with_capacity(subject.len());
    let mut at = 0;
    for (start, end) in places {
        if start >= at {
            rest.push_str(subject.get(at..start).unwrap_or_default());
            at = end;
        }
    }
    rest.push_str(subject.get(at..).unwrap_or_default());
    rest.trim_end().to_owned()
}

fn places(subject: &str, settings: &TokenSettings) -> Vec<(usize, usize)> {
    let prefixes = std::iter::once(&settings.prefix).chain(&settings.past_prefixes);
    let mut places = Vec::new();
    for prefix in prefixes.filter(|prefix| !prefix.is_empty()) {
        for (start, _) in subject.match_indices(prefix.as_str()) {
            let digits = subject.get(start + prefix.len()..).unwrap_or_default();
            let length = digits.bytes().take_while(u8::is_ascii_digit).count();
            // The digit, a user and a counter; lengths may have been set differently when the token was given.
            if (3..=20).contains(&length) {
                places.push((start, start + prefix.len() + length));
            }
        }
    }
    places
}

/// The subject of an email that is sent with a token: cut so that both fit into `most` characters. Without room for the
/// token it is left out (spec §3.4). A token that the subject bears already is not added again.
pub fn subject_with(subject: &str, token: &str, most: u32) -> String {
    let most = most as usize;
    let cut = |room: usize| subject.chars().take(room).collect::<String>();
    let length = token.chars().count();
    if token.is_empty() || length > most || subject.contains(token) {
        return cut(most);
    }
    let room = most - length;
    let text = cut(room.saturating_sub(1));
    let text = text.trim_end();
    if text.is_empty() { token.to_owned() } else { format!("{text} {token}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings() -> TokenSettings {
        crate::organization::Settings::default().token
    }

    #[test]
    fn the_default_token_is_the_documented_one() {
        assert_eq!(token(1, 2, &settings()), "CRM:0001002");
        assert_eq!(token(1, 1002, &settings()), "CRM:0001002");
        assert_eq!(token(1, 0, &TokenSettings { base: 41, ..settings() }), "CRM:0042000");
    }

    #[test]
    fn tokens_are_found_in_subjects_the_last_one_first() {
        let mut changed = settings();
        changed.past_prefixes = vec!["OLD#".to_owned()];
        assert_eq!(tokens("RE: Offer CRM:0001002", &changed), ["CRM:0001002"]);
        assert_eq!(tokens("OLD#0001001 and CRM:0001002", &changed), ["CRM:0001002", "OLD#0001001"]);
        assert!(tokens("CRM: CRM:12 crm:0001002", &changed).is_empty());
        assert_eq!(without_tokens("Offer CRM:0001002", &changed), "Offer");
    }

    #[test]
    fn a_subject_is_cut_to_make_room() {
        assert_eq!(subject_with("Offer", "CRM:0001002", 255), "Offer CRM:0001002");
        assert_eq!(subject_with("", "CRM:0001002", 255), "CRM:0001002");
        assert_eq!(subject_with("Offer CRM:0001002", "CRM:0001002", 255), "Offer CRM:0001002");
        assert_eq!(subject_with("A long subject", "CRM:0001002", 16), "A lo CRM:0001002");
        assert_eq!(subject_with("Offer", "CRM:0001002", 5), "Offer");
    }

    #[test]
    fn a_token_of_other_settings_has_no_numbers() {
        for other in ["", "CRM:0001", "CRM:00010022", "OLD#0001002", "CRM:1001002", "CRM:0001ÄÖ"] {
            assert_eq!(numbers(other, &settings()), None, "{other}");
        }
        assert_eq!(numbers("CRM:0001002", &TokenSettings { base: 41, ..settings() }), None);
    }

    proptest! {
        #[test]
        fn the_numbers_of_a_token_are_those_that_it_was_given_with(
            user in 0_u64..1000, counter in 0_u64..5000, base in 0_u32..3,
        ) {
            let settings = TokenSettings { base, ..settings() };
            let expected = (user + u64::from(base) < 1000).then_some((user, counter % 1000));
            prop_assert_eq!(numbers(&token(user, counter, &settings), &settings), expected);
        }

        #[test]
        fn what_is_put_into_a_subject_is_found_there(
            subject in "[^0-9]{0,300}", user in 0_u64..5000, counter in 0_u64..5000, most in 255_u32..=400,
        ) {
            let token = token(user, counter, &settings());
            let sent = subject_with(&subject, &token, most);
            prop_assert!(sent.chars().count() <= most as usize);
            let found = tokens(&format!("RE: {sent}"), &settings());
            prop_assert_eq!(found.first(), Some(&token));
        }

        #[test]
        fn no_subject_breaks_it(subject in any::<String>()) {
            let _ = (tokens(&subject, &settings()), without_tokens(&subject, &settings()));
        }
    }
}
