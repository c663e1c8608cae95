//! How a mailbox's server is reached, as the locator is told.

use std::time::Duration;

use postroad_core::{
    mailbox::Mailbox,
    profile::{Profile, Sealed, ServerType, TlsLibrary},
};
use postroad_proto::locator::v1::{Access, ClientCredentials, SealedPassword};

use crate::wire;

/// By the mailbox's own credentials where it has them, otherwise by the profile's account, which impersonates it. Without a
/// mailbox the account is meant itself. `domains` are those of the profile's mailboxes.
pub fn access(profile: &Profile, mailbox: Option<&Mailbox>, domains: Vec<String>) -> Access {
    let own = mailbox.filter(|mailbox| mailbox.settings.allow_own_credentials);
    let (user_name, sealed) = match own {
        Some(mailbox) => (&mailbox.settings.user_name, mailbox.sealed.as_ref()),
        None => (&profile.settings.user_name, profile.sealed.as_ref()),
    };
    let settings = &profile.settings;
    let client = settings.client_credentials.as_ref().filter(|_| own.is_none());
    Access {
        location: settings.locations.as_ref().map(|locations| locations.incoming.url()).unwrap_or_default(),
        user_name: user_name.clone(),
        password: sealed.map(password),
        impersonate: mailbox.is_some() && own.is_none(),
        trust_anchors: settings.trust_anchors.clone(),
        timeout: Some(wire::duration(Duration::from_millis(u64::from(settings.connection_timeout_ms)))),
        maximum_concurrent_connections: u32::from(settings.maximum_concurrent_connections),
        released_hosts: settings.released_hosts.iter().map(ToString::to_string).collect(),
        mailbox_domains: domains,
        allow_internal_addresses: settings.allow_internal_addresses,
        exchange_online: settings.server_type == ServerType::ExchangeOnline,
        system_tls: settings.tls == TlsLibrary::System,
        client_credentials: client.map(|client| ClientCredentials {
            token_location: client.token_location.url(),
            client_id: client.client_id.clone(),
            scope: client.scope.clone(),
            certificate: client.certificate.clone().unwrap_or_default(),
        }),
    }
}

fn password(sealed: &Sealed) -> SealedPassword {
    SealedPassword {
        key_id: sealed.key_id.clone(),
        wrapped_key: sealed.wrapped_key.clone(),
        ciphertext: sealed.ciphertext.clone(),
    }
}
