//! The public keys of an issuer (RFC 7517).

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde_json::Value;

/// A key that signatures are checked with.
pub type Key = DecodingKey;

/// Keys that are tried for a token that does not name its own.
const TRIED: usize = 4;

/// The keys that sign.
#[derive(Debug, Default)]
pub struct Keys(Vec<Published>);

struct Published {
    id: Option<String>,
    algorithm: Option<KeyAlgorithm>,
    key: Key,
}

impl std::fmt::Debug for Published {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Published").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Keys {
    /// Those of a key set that sign, and that are understood; a key that is not does not spoil the others.
    pub fn read(set: &Value) -> Self {
        let keys = set.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Self(keys.iter().filter_map(published).collect())
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that may have signed with this algorithm.
    pub fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<Key> {
        let fits = |published: &&Published| {
            id.is_none_or(|id| published.id.as_deref() == Some(id))
                && published.algorithm.is_none_or(|of| of == KeyAlgorithm::from(algorithm))
                && published.key.family() == algorithm.family()
        };
        self.0.iter().filter(fits).take(TRIED).map(|published| published.key.clone()).collect()
    }
}

fn published(key: &Value) -> Option<Published> {
    let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature);
    // A secret that is published is none: with it, anybody could sign.
    let is_public = matches!(
        jwk.algorithm,
        AlgorithmParameters::RSA(_) | AlgorithmParameters::EllipticCurve(_) | AlgorithmParameters::OctetKeyPair(_)
    );
    if !signs || !is_public {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Published { id: jwk.common.key_id, algorithm: jwk.common.key_algorithm, key })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_and_keys_for_encryption_are_no_keys_that_sign() {
        let set = json!({"keys": [
            {"kty": "oct", "kid": "secret", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
            {"kty": "RSA", "kid": "enc", "use": "enc", "n": "sXch", "e": "AQAB"},
            {"kty": "of the future", "kid": "new"},
            "no key",
            {"kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": "sXch", "e": "AQAB"},
            {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        ]});
        let keys = Keys::read(&set);
        assert_eq!(keys.len(), 2);
        let found = |id, algorithm| keys.candidates(id, algorithm).len();
        assert_eq!((found(Some("rsa"), Algorithm::RS256), found(None, Algorithm::EdDSA)), (1, 1));
        // The key says what it is for.
        assert_eq!((found(Some("rsa"), Algorithm::PS256), found(Some("ed"), Algorithm::RS256)), (0, 0));
        assert_eq!((found(Some("secret"), Algorithm::HS256), found(Some("other"), Algorithm::RS256)), (0, 0));
    }

    #[test]
    fn what_is_no_key_set_has_no_keys() {
        for set in [json!(null), json!({"keys": 1}), json!([])] {
            assert_eq!(Keys::read(&set).len(), 0, "{set}");
        }
    }
}
