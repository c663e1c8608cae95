//! The play that `cargo demo` shows, for whoever wants to look at what it leaves.
#![expect(clippy::disallowed_methods, reason = "a program for people: it reads the clock and spawns freely")]

mod cast;
mod figures;
mod play;
mod screen;

use system::{Account, Deployment, Extras, Options, Role, SetUp, activities::Activities};

use crate::{figures::Figures, play::Play};
pub use crate::{figures::Summary, play::Error, screen::Screen};

/// Starts everything, performs the whole play, and gives what came out; everything still runs.
///
/// # Errors
/// Something did not start, or did not happen in time.
pub async fn perform(screen: Screen, options: Options, extras: Extras) -> Result<(Deployment, Summary), Error> {
    screen.act("Everything starts");
    screen.say("building postroad, looking for nats-server 2.12 or newer (fetched by pip if there is none)");
    let organization = cast::organization();
    let account = cast::account(&organization);
    let deployment = Deployment::start_with(organization, options, extras).await?;
    screen.good(format_args!("nats-server, mockex, a mail relay and the roles {} serve", roles()));
    let figures = Figures::default();
    let set_up = SetUp { deployment: &deployment, profile: cast::PROFILE, account, owner: cast::OWNER };
    let play = Play { deployment: &deployment, screen, figures: figures.clone() };
    if let Err(error) = play.perform(&set_up).await {
        for role in Role::ALL {
            screen.say(format_args!("the end of the log of {}:", role.name()));
            screen.quote(&deployment.log(role));
        }
        return Err(error);
    }
    let found = Activities::read(&deployment).await?;
    let summary = figures.summary(&found, deployment.relay.mails().len());
    conclude(&summary, screen);
    Ok((deployment, summary))
}

/// The account that impersonates in the play.
pub fn account() -> Account {
    cast::account(&cast::organization())
}

fn conclude(summary: &Summary, screen: Screen) {
    screen.act("In the end");
    let Summary { delivered, tracked, duplicates, missing, alert_mails, .. } = summary;
    let line = format!(
        "{delivered} messages delivered, {tracked} in the CRM, {duplicates} duplicates, {missing} missing, {alert_mails} alert mails"
    );
    if summary.is_exact() { screen.good(line) } else { screen.bad(line) }
}

fn roles() -> String {
    Role::ALL.map(Role::name).join(", ")
}
