//! One source of tokens for all mailboxes of a profile.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::{Proof, ProofError, TokenOptions, TokenSource};
use crate::{Transport, TransportOptions};

/// Sources that nobody asked for or holds this long are forgotten: about the life of a token.
const IDLE: Duration = Duration::from_secs(3600);

/// Sources of tokens by their options, each made once and kept between the cycles of its mailboxes.
#[derive(Default)]
pub struct TokenSources {
    sources: Mutex<HashMap<Key, Entry>>,
}

/// Secrets count by their digest, so that none is kept here.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    transport: TransportOptions,
    digest: Vec<u8>,
}

struct Entry {
    source: Arc<TokenSource>,
    asked: Instant,
}

// === impl TokenSources ===

impl TokenSources {
    /// The source with these options.
    ///
    /// # Errors
    /// The certificate cannot sign.
    pub fn get(&self, transport: &Transport, options: &TokenOptions) -> Result<Arc<TokenSource>, ProofError> {
        let key = Key { transport: transport.options().clone(), digest: digest(options) };
        let now = Instant::now();
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = sources.get_mut(&key) {
            entry.asked = now;
            return Ok(Arc::clone(&entry.source));
        }
        let source = Arc::new(TokenSource::new(transport, options)?);
        sources.retain(|_, entry| Arc::strong_count(&entry.source) > 1 || now - entry.asked < IDLE);
        sources.insert(key, Entry { source: Arc::clone(&source), asked: now });
        Ok(source)
    }
}

impl fmt::Debug for TokenSources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenSources").finish_non_exhaustive()
    }
}

fn digest(options: &TokenOptions) -> Vec<u8> {
    let (kind, public, secret) = match &options.proof {
        Proof::Secret(secret) => ("secret", "", secret),
        Proof::Certificate { certificate, private_key } => ("certificate", certificate.as_str(), private_key),
    };
    let mut context = Context::new(&SHA256);
    let fields = [options.endpoint.as_str(), &options.client_id, &options.scope, kind, public, secret.expose_secret()];
    for field in fields {
        // With its length, so that no two lists of fields look alike.
        context.update(&field.len().to_le_bytes());
        context.update(field.as_bytes());
    }
    context.finish().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::Endpoint;

    fn options(client_id: &str, secret: &str) -> TokenOptions {
        TokenOptions {
            endpoint: Endpoint::parse("https://login/tenant/oauth2/v2.0/token").unwrap(),
            client_id: client_id.to_owned(),
            scope: "https://outlook.office365.com/.default".to_owned(),
            proof: Proof::Secret(SecretString::from(secret)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn equal_options_share_a_source_until_nobody_asks() {
        let transport = Transport::new(TransportOptions::default()).unwrap();
        let sources = TokenSources::default();
        let first = sources.get(&transport, &options("a", "b")).unwrap();
        assert!(Arc::ptr_eq(&first, &sources.get(&transport, &options("a", "b")).unwrap()));
        for other in [options("a", "c"), options("ab", ""), options("", "ab")] {
            assert!(!Arc::ptr_eq(&first, &sources.get(&transport, &other).unwrap()));
        }
        tokio::time::advance(IDLE).await;
        sources.get(&transport, &options("d", "")).unwrap();
        assert_eq!(sources.sources.lock().unwrap().len(), 2, "what is held is kept");
    }

    #[test]
    fn options_are_printed_without_their_secret() {
        let printed = format!("{:?}", options("client", "Geheim"));
        assert!(printed.contains("client") && !printed.contains("Geheim"), "{printed}");
    }
}
