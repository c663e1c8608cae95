//! The stored passwords under the present sealing key, one commit each: concurrent with whatever else happens to profiles and mailboxes.

use std::sync::Arc;

use futures::{Stream, stream};
use postroad_core::{
    mailbox::AdminCommand,
    profile::{Command, Facts, Rules, Sealed},
};
use postroad_journal::Actor;
use postroad_proto::profile::v1::ResealPasswordsResponse;
use postroad_rig::{clock, status};
use tonic::Status;
use uuid::Uuid;

use crate::registry::{Mailboxes, Registry, report_of};

/// Whose password.
enum Held {
    Profile { id: Uuid, name: String, sealed: Sealed },
    Mailbox { id: Uuid, address: String, sealed: Sealed },
}

/// Seals anew while the stream is read; a caller who leaves ends it, and may call again.
pub fn run(registry: Arc<Registry>, actor: Actor) -> impl Stream<Item = Result<ResealPasswordsResponse, Status>> {
    let held = held(&registry);
    let total = u32::try_from(held.len()).unwrap_or(u32::MAX);
    let each = held.into_iter().zip(1..).collect::<Vec<_>>().into_iter();
    stream::unfold((registry, actor, each), move |(registry, actor, mut each)| async move {
        let (held, done) = each.next()?;
        let told = ResealPasswordsResponse { total, done, ..one(&registry, &actor, held).await };
        Some((Ok(told), (registry, actor, each)))
    })
}

fn held(registry: &Registry) -> Vec<Held> {
    let profiles = registry.directory.profiles().into_iter().filter_map(|profile| {
        Some(Held::Profile { id: profile.id, name: profile.settings.name, sealed: profile.sealed? })
    });
    let mailboxes = registry.directory.mailboxes(None).into_iter().filter_map(|mailbox| {
        let address = mailbox.settings.address.to_string();
        Some(Held::Mailbox { id: mailbox.id, address, sealed: mailbox.sealed? })
    });
    profiles.chain(mailboxes).collect()
}

async fn one(registry: &Registry, actor: &Actor, held: Held) -> ResealPasswordsResponse {
    let (profile, email_address, sealed) = match &held {
        Held::Profile { name, sealed, .. } => (name.clone(), String::new(), sealed.clone()),
        Held::Mailbox { address, sealed, .. } => (String::new(), address.clone(), sealed.clone()),
    };
    let told = ResealPasswordsResponse {
        profile,
        email_address,
        key_id: sealed.key_id.clone(),
        ..ResealPasswordsResponse::default()
    };
    let to = match registry.keyring.rewrap(&sealed) {
        Ok(Some(to)) => to,
        Ok(None) => return told,
        Err(error) => return ResealPasswordsResponse { fault: Some(status::to_wire(&error.report())), ..told },
    };
    let key_id = to.key_id.clone();
    match sealed_anew(registry, actor, &held, sealed, to).await {
        Ok(changed) => ResealPasswordsResponse { key_id, changed, ..told },
        // It was deleted meanwhile.
        Err(status) if status.code() == tonic::Code::NotFound => told,
        Err(status) => ResealPasswordsResponse { fault: Some(status::to_wire(&report_of(&status))), ..told },
    }
}

async fn sealed_anew(
    registry: &Registry,
    actor: &Actor,
    held: &Held,
    from: Sealed,
    to: Sealed,
) -> Result<bool, Status> {
    Ok(match held {
        Held::Profile { id, .. } => {
            let facts = Facts { now: clock::now(), name_taken: false, used_by: Vec::new() };
            let command = Command::Reseal { from, to };
            !registry.execute::<Rules>(*id, actor, &command, &facts, |_| true).await?.events.is_empty()
        }
        Held::Mailbox { id, .. } => {
            let facts = registry.plain_facts(None);
            let command = AdminCommand::Reseal { from, to };
            !registry.execute::<Mailboxes>(*id, actor, &command, &facts, |_| true).await?.events.is_empty()
        }
    })
}
