//! Finds secrets in whatever form they may have been written.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// What a private key (PKCS#8) has before its 32 bytes.
const BEFORE_KEY: [u8; 5] = [2, 1, 1, 4, 32];

/// Secrets that are to be nowhere.
#[derive(Default)]
pub struct Secrets {
    forms: Vec<Vec<u8>>,
    names: Vec<String>,
}

impl Secrets {
    /// A password, or any other bytes; `name` is what a finding is called, so that no secret gets into the log of the test.
    pub fn add(&mut self, name: &str, secret: &[u8]) {
        for form in forms(secret) {
            self.forms.push(form);
            self.names.push(name.to_owned());
        }
    }

    /// A private key: the lines of its PEM, what they encode, and in that the key itself.
    pub fn add_key(&mut self, name: &str, pem: &str) {
        for line in secret_lines(pem) {
            self.add(name, line.as_bytes());
        }
        let der = der(pem);
        self.add(name, &der[key_itself(&der).unwrap()]);
        self.add(name, &der);
    }

    /// An access token: all of it, and what makes it valid, its signature.
    pub fn add_token(&mut self, name: &str, token: &str) {
        self.add(name, token.as_bytes());
        let signature = token.rsplit('.').next().unwrap();
        self.add(name, signature.as_bytes());
        self.add(name, &URL_SAFE_NO_PAD.decode(signature).unwrap());
    }

    /// What finds them.
    pub fn searcher(self) -> Searcher {
        Searcher { automaton: AhoCorasick::new(&self.forms).unwrap(), names: self.names }
    }
}

/// Finds secrets.
pub struct Searcher {
    automaton: AhoCorasick,
    names: Vec<String>,
}

impl Searcher {
    /// The name of a secret that is there.
    pub fn found(&self, bytes: &[u8]) -> Option<&str> {
        self.automaton.find(bytes).map(|found| self.names[found.pattern().as_usize()].as_str())
    }

    /// Fails if one is there.
    pub fn nothing_in(&self, place: &str, bytes: &[u8]) {
        if let Some(name) = self.found(bytes) {
            panic!("{place} holds {name}");
        }
    }
}

fn body(pem: &str) -> Vec<&str> {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(body(pem).concat()).unwrap()
}

/// The lines with something of the private key; those after them are the public one, which certificates have, too.
fn secret_lines(pem: &str) -> Vec<&str> {
    let (body, key) = (body(pem), key_itself(&der(pem)).unwrap());
    body.into_iter().enumerate().filter(|(index, _)| index * 48 < key.end).map(|(_, line)| line).collect()
}

/// Where the key itself is.
fn key_itself(der: &[u8]) -> Option<Range<usize>> {
    let at = der.windows(BEFORE_KEY.len()).position(|window| window == BEFORE_KEY)? + BEFORE_KEY.len();
    Some(at..at + 32)
}

/// A secret as it may have been written.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hexadecimal: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = form_urlencoded::byte_serialize(secret).collect();
    // As Debug prints bytes, and pieces of a buffer.
    let listed = secret.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut texts = vec![hexadecimal.to_uppercase(), hexadecimal, percent, listed, secret.escape_ascii().to_string()];
    let piece = format!("{:?}", bytes::Bytes::copy_from_slice(secret));
    texts.push(piece[2..piece.len() - 1].to_owned());
    if let Ok(text) = std::str::from_utf8(secret) {
        let json = serde_json::to_string(text).unwrap();
        texts.push(json[1..json.len() - 1].to_owned());
    }
    for before in 0..3 {
        texts.push(encoded(secret, before, |bytes| STANDARD_NO_PAD.encode(bytes)));
        texts.push(encoded(secret, before, |bytes| URL_SAFE_NO_PAD.encode(bytes)));
    }
    let mut forms: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).chain([secret.to_vec()]).collect();
    forms.sort();
    forms.dedup();
    forms
}

/// What is always the same of a secret in base64 if `before` bytes, or three more each, were encoded with it.
fn encoded(secret: &[u8], before: usize, encode: impl Fn(&[u8]) -> String) -> String {
    let text = encode(&[&vec![0; before], secret].concat());
    let whole = (before + secret.len()) / 3 * 4;
    text[[0, 2, 3][before]..text.len().min(whole)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "p\"ss/w\\rd+%&";

    fn key() -> String {
        stage::Authority::new("test").unwrap().issue(&["somebody"]).unwrap().key
    }

    fn holds(searcher: &Searcher, text: impl AsRef<[u8]>, name: &str) {
        let around = [b"before ", text.as_ref(), b" after"].concat();
        assert_eq!(searcher.found(&around), Some(name), "{}", String::from_utf8_lossy(&around));
    }

    #[test]
    fn a_password_is_found_in_each_form() {
        let mut secrets = Secrets::default();
        secrets.add("password", PASSWORD.as_bytes());
        let searcher = secrets.searcher();
        assert_eq!(searcher.found(b"{\"level\":\"TRACE\",\"password\":\"[redacted]\"}"), None);
        for user in ["", "u", "us", "use", "user"] {
            let pair = format!("{user}:{PASSWORD}{user}");
            holds(&searcher, &pair, "password");
            holds(&searcher, STANDARD.encode(&pair), "password");
            holds(&searcher, URL_SAFE_NO_PAD.encode(&pair), "password");
            holds(&searcher, format!("{:?}", pair.as_bytes()), "password");
            holds(&searcher, format!("{pair:?}"), "password");
            holds(&searcher, format!("{:?}", bytes::Bytes::from(pair.clone())), "password");
            holds(&searcher, serde_json::json!({ "pass": pair }).to_string(), "password");
            holds(&searcher, form_urlencoded::byte_serialize(pair.as_bytes()).collect::<String>(), "password");
            holds(&searcher, pair.bytes().map(|byte| format!("{byte:02X}")).collect::<String>(), "password");
        }
    }

    #[test]
    fn a_private_key_is_found_in_each_form() {
        let pem = key();
        let der = der(&pem);
        let mut secrets = Secrets::default();
        secrets.add_key("key", &pem);
        let searcher = secrets.searcher();
        assert_eq!(searcher.found(key().as_bytes()), None, "another key is not this one");
        holds(&searcher, &pem, "key");
        assert_eq!(secret_lines(&pem).len(), 2, "{} lines", secret_lines(&pem).len());
        for line in secret_lines(&pem) {
            holds(&searcher, line, "key");
        }
        holds(&searcher, serde_json::json!({ "file": pem }).to_string(), "key");
        let own = key_itself(&der).unwrap();
        for bytes in [&der[..], &der[7..], &der[own.start - 1..], &der[own]] {
            holds(&searcher, bytes, "key");
            holds(&searcher, STANDARD.encode(bytes), "key");
            holds(&searcher, URL_SAFE_NO_PAD.encode(bytes), "key");
            holds(&searcher, format!("{bytes:?}"), "key");
            holds(&searcher, format!("{:?}", bytes::Bytes::copy_from_slice(bytes)), "key");
            holds(&searcher, bytes.escape_ascii().to_string(), "key");
            holds(&searcher, bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), "key");
        }
    }

    #[test]
    fn an_access_token_is_found_whole_and_by_its_signature() {
        let signature: Vec<u8> = (0..64).map(|byte| byte * 3 + 1).collect();
        let token = format!("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.{}", URL_SAFE_NO_PAD.encode(&signature));
        let mut secrets = Secrets::default();
        secrets.add_token("token", &token);
        let searcher = secrets.searcher();
        assert_eq!(searcher.found(b"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0."), None);
        holds(&searcher, format!("authorization: Bearer {token}"), "token");
        holds(&searcher, &token[token.len() - 86..], "token");
        holds(&searcher, format!("{signature:?}"), "token");
        holds(&searcher, STANDARD.encode(format!("Bearer {token}")), "token");
    }
}
