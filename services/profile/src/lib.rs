//! The profile role: email server profiles and mailboxes, their administration, and Test & enable.
//!
//! | module | what it holds |
//! |---|---|
//! | `directory` | profiles and mailboxes as the journal has them |
//! | `registry` | what both services share: the journal, unique names, sealing, waiting for one's own writes |
//! | `names` | claims on unique names |
//! | `people`, `prober` | the CRM and the locator, as this role needs them |
//! | `mask` | field masks |
//! | `figures` | what Prometheus is told |
//! | `reseal` | the stored passwords under another sealing key |
//! | `profile`, `mailbox` | the two services: drafts from the wire, views for the wire, tests |

mod directory;
mod figures;
mod mailbox;
mod mask;
mod names;
mod people;
mod prober;
mod profile;
mod registry;
mod reseal;

use std::sync::Arc;

use postroad_proto::{
    mailbox::v1::mailbox_service_server::MailboxServiceServer,
    profile::v1::profile_service_server::ProfileServiceServer,
};
use postroad_rig::{Context, Error, serve};

pub use mailbox::MailboxAdministration;
pub use people::{People, Person, PersonKind};
pub use prober::{Probe, Probed, Prober};
pub use profile::ProfileAdministration;
pub use registry::{Policy, Registry};

/// Runs the role until shutdown. It serves once it knows everything that the journal held at the start.
pub async fn run(context: Context) -> Result<(), Error> {
    let people = people::Crm::new(&context.channels)?;
    let prober = prober::Locator::new(&context.channels)?;
    let policy = Policy {
        require_approval: context.config.profile.require_approval,
        parallel_tests: context.config.profile.parallel_tests.max(1),
        defaults: context.config.profile.defaults.clone(),
        retry: context.config.sync.retry(),
    };
    let registry = Arc::new(Registry::new(
        context.journal.clone(),
        Arc::clone(&context.keyring),
        Arc::new(people),
        Arc::new(prober),
        policy,
    ));
    figures::tell(&registry);
    let following = Arc::clone(&registry);
    context.tasks.spawn("directory", following.follow(context.shutdown.clone()));
    tokio::select! {
        () = registry.caught_up() => {}
        () = context.shutdown.cancelled() => return Ok(()),
    }
    let routes =
        tonic::service::Routes::new(ProfileServiceServer::new(ProfileAdministration::new(Arc::clone(&registry))))
            .add_service(MailboxServiceServer::new(MailboxAdministration::new(registry)));
    let names = ["postroad.profile.v1.ProfileService", "postroad.mailbox.v1.MailboxService"];
    serve(&context, context.config.profile.listen, routes, &names).await
}
