//! Sealing, rotation and what is damaged.

use super::*;

fn key(fill: u8) -> SecretString {
    SecretString::from(STANDARD.encode([fill; KEY]))
}

fn keyring(keys: &[(&str, u8)]) -> Keyring {
    Keyring::load(keys.iter().map(|(id, fill)| ((*id).to_owned(), key(*fill)))).unwrap()
}

fn password() -> SecretString {
    SecretString::from("pässword ☂")
}

#[test]
fn what_is_sealed_opens() {
    let keyring = keyring(&[("2024", 1)]);
    let sealed = keyring.seal(&password()).unwrap();
    assert_eq!(sealed.key_id, "2024");
    assert_eq!(keyring.open(&sealed).unwrap().expose_secret(), password().expose_secret());
    assert_eq!(keyring.open(&keyring.seal(&SecretString::from("")).unwrap()).unwrap().expose_secret(), "");
}

#[test]
fn sealing_twice_gives_different_texts() {
    let keyring = keyring(&[("1", 1)]);
    let (first, second) = (keyring.seal(&password()).unwrap(), keyring.seal(&password()).unwrap());
    assert_ne!(first.ciphertext, second.ciphertext);
    assert_ne!(first.wrapped_key, second.wrapped_key);
}

#[test]
fn a_rotated_key_still_opens_and_the_new_one_seals() {
    let old = keyring(&[("1", 1)]).seal(&password()).unwrap();
    let rotated = keyring(&[("2", 2), ("1", 1)]);
    assert_eq!(rotated.current(), "2");
    assert_eq!(rotated.open(&old).unwrap().expose_secret(), password().expose_secret());
    assert_eq!(rotated.seal(&password()).unwrap().key_id, "2");
}

#[test]
fn the_key_that_is_needed_is_named() {
    let sealed = keyring(&[("1", 1)]).seal(&password()).unwrap();
    let lost = Error::LostKey { key_id: "1".to_owned() };
    assert_eq!(keyring(&[("2", 1)]).open(&sealed).unwrap_err(), lost);
    assert_eq!(lost.report().code, Code::SealingKeyLost);
    let wrong = Error::WrongKey { key_id: "1".to_owned() };
    // The same id, another key.
    assert_eq!(keyring(&[("1", 9)]).open(&sealed).unwrap_err(), wrong);
    assert_eq!(wrong.report().code, Code::SealingKeyWrong);
    assert!(wrong.report().detail.contains("`1`"));
}

#[test]
fn no_changed_byte_goes_unnoticed() {
    let keyring = keyring(&[("1", 1)]);
    let sealed = keyring.seal(&password()).unwrap();
    for at in 0..sealed.ciphertext.len() {
        let mut changed = sealed.clone();
        changed.ciphertext[at] ^= 1;
        assert_eq!(keyring.open(&changed).unwrap_err(), Error::Damaged { key_id: "1".to_owned() });
    }
    for at in 0..sealed.wrapped_key.len() {
        let mut changed = sealed.clone();
        changed.wrapped_key[at] ^= 1;
        assert!(keyring.open(&changed).is_err());
    }
    let other = keyring.seal(&password()).unwrap();
    let mixed = Sealed { ciphertext: other.ciphertext, ..sealed };
    assert!(keyring.open(&mixed).is_err());
    assert!(keyring.open(&Sealed { wrapped_key: Vec::new(), ..mixed }).is_err());
}

#[test]
fn keys_that_are_none_are_refused() {
    let load = |keys: &[(&str, &str)]| {
        Keyring::load(keys.iter().map(|(id, text)| ((*id).to_owned(), SecretString::from(*text)))).unwrap_err()
    };
    let good = Keyring::new_key();
    assert_eq!(load(&[]), Error::NoKey);
    assert_eq!(load(&[("1", "short")]), Error::Unusable { key_id: "1".to_owned() });
    assert_eq!(load(&[("1", &STANDARD.encode([0; 16]))]), Error::Unusable { key_id: "1".to_owned() });
    assert_eq!(load(&[("", &good)]), Error::Ambiguous { key_id: String::new() });
    assert_eq!(load(&[("1", &good), ("1", &good)]), Error::Ambiguous { key_id: "1".to_owned() });
    assert!(Keyring::load([("1".to_owned(), SecretString::from(format!("{good}\n")))]).is_ok());
}

#[test]
fn nothing_shows_a_secret() {
    let keyring = keyring(&[("1", 7)]);
    let sealed = keyring.seal(&password()).unwrap();
    let error = keyring.open(&Sealed { key_id: "9".to_owned(), ..sealed.clone() }).unwrap_err();
    let shown = format!("{keyring:?} {sealed:?} {error:?} {error}");
    assert_eq!(format!("{keyring:?}"), r#"["1"]"#);
    assert!(!shown.contains(key(7).expose_secret()) && !shown.contains("pässword"));
    assert!(!shown.contains("7, 7"));
}

#[test]
fn resealing_keeps_the_secret_and_needs_only_the_new_key_afterwards() {
    let old = keyring(&[("1", 1)]).seal(&password()).unwrap();
    let both = keyring(&[("2", 2), ("1", 1)]);
    let new = both.rewrap(&old).unwrap().unwrap();
    assert_eq!((new.key_id.as_str(), &new.ciphertext), ("2", &old.ciphertext));
    assert_eq!(both.rewrap(&new).unwrap(), None);
    assert_eq!(keyring(&[("2", 2)]).open(&new).unwrap().expose_secret(), password().expose_secret());
    let lost = keyring(&[("2", 2)]).rewrap(&old).unwrap_err();
    assert_eq!(lost, Error::LostKey { key_id: "1".to_owned() });
}

#[test]
fn a_key_that_is_needed_is_looked_for_where_keys_are_kept() {
    let kept = Arc::new(std::sync::Mutex::new(Ok(vec![("1".to_owned(), key(1))])));
    let source = Arc::clone(&kept);
    let reading = Keyring::reading(move || source.lock().unwrap().clone()).unwrap();
    let coming = keyring(&[("2", 2)]).seal(&password()).unwrap();
    assert!(reading.open(&coming).is_err());
    *kept.lock().unwrap() = Ok(vec![("2".to_owned(), key(2)), ("1".to_owned(), key(1))]);
    assert_eq!(reading.open(&coming).unwrap().expose_secret(), password().expose_secret());
    assert_eq!((reading.current().as_str(), reading.renew()), ("2", Ok(false)));
    // What cannot be used is as if it had not been touched.
    *kept.lock().unwrap() = Err("gone".to_owned());
    assert_eq!(reading.renew(), Err(Error::Source("gone".to_owned())));
    *kept.lock().unwrap() = Ok(vec![("2".to_owned(), SecretString::from("half a key"))]);
    assert!(reading.renew().is_err());
    assert!(reading.open(&coming).is_ok());
}

#[test]
fn a_key_that_another_reader_has_just_read_again_is_known() {
    // Given a key that is new, and another reader who reads it just before this one does.
    let (other, reads) = (Arc::new(std::sync::OnceLock::<Arc<Keyring>>::new()), std::sync::atomic::AtomicUsize::new(0));
    let earlier = Arc::clone(&other);
    let source = move || {
        let first = ("1".to_owned(), key(1));
        match reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => return Ok(vec![first]),
            1 => assert_eq!(earlier.get().unwrap().renew(), Ok(true)),
            _ => {}
        }
        Ok(vec![("2".to_owned(), key(2)), first])
    };
    let reading = Arc::new(Keyring::reading(source).unwrap());
    other.set(Arc::clone(&reading)).unwrap();
    // When what is sealed with it is opened, then it is not taken for lost.
    let coming = keyring(&[("2", 2)]).seal(&password()).unwrap();
    assert_eq!(reading.open(&coming).unwrap().expose_secret(), password().expose_secret());
}
