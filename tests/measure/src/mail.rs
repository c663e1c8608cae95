//! Mail from Exchange to the CRM, and polls that find nothing: messages and polls by processor time of the sync role alone.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt as _;
use mail_builder::MessageBuilder;
use mockex::Delivery;
use postroad_core::email::Event;
use postroad_journal::{Followed, Kind, Part};
use system::{Options, Role, message_id};

use crate::{
    Error,
    bare::{self, Job},
    figure::{Figure, Target},
    fleet::Fleet,
    processor, progress, seed,
};

const MAILBOXES: usize = 10;
/// Mailboxes that are polled as fast as may be.
const POLLED: usize = 2000;
const PATIENCE: Duration = Duration::from_secs(600);

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::Run(error.to_string())
}

/// A backlog of mail of mixed sizes: six of ten are short, three of them pages of HTML, one has an attachment.
fn letter(number: usize, recipient: &str) -> Vec<u8> {
    let line = "Dear customer, your order was received and will be sent within two days. ";
    let (lines, attachment) = match number % 10 {
        0..=5 => (20, 0),
        6..=8 => (250, 0),
        _ => (50, 280_000),
    };
    let html: String = (0..lines).map(|at| format!("<p style=\"margin:0\">{at}: <b>{line}</b></p>\r\n")).collect();
    let mut letter = MessageBuilder::new()
        .from(("Grace Hopper", "grace@fabrikam.example"))
        .to(recipient)
        .subject(format!("Order {number}"))
        .message_id(message_id("mixed", number))
        .text_body(line.repeat(lines / 2))
        .html_body(html);
    if attachment > 0 {
        let noise = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
        letter = letter.attachment("application/pdf", "order.pdf", (0..attachment).map(noise).collect::<Vec<u8>>());
    }
    letter.write_to_vec().unwrap_or_default()
}

/// A backlog that is worked off: messages by processor time of the sync role.
pub async fn mail(messages: usize) -> Result<Vec<Figure>, Error> {
    let mut fleet =
        Box::pin(Fleet::open(MAILBOXES, Options { poll: Duration::from_secs(60), ..Options::default() })).await?;
    let mut items = vec![Vec::new(); MAILBOXES];
    let (mut missing, mut bytes) = (BTreeSet::new(), 0);
    for number in 0..messages {
        let mailbox = seed::address(number % MAILBOXES);
        let mime: bytes::Bytes = letter(number / MAILBOXES, &mailbox).into();
        bytes += mime.len();
        let id = message_id("mixed", number / MAILBOXES);
        // Each its own, though there are ten of a kind.
        let own = format!("{number}.{id}");
        let mime = String::from_utf8_lossy(&mime).replacen(&id, &own, 1).into_bytes().into();
        missing.insert(own);
        let delivery = Delivery { mailbox, mime, ..Delivery::default() };
        let item = fleet.deployment.exchange.deliver(delivery).map_err(|error| failed(&error))?.item_id;
        if let Some(items) = items.get_mut(number % MAILBOXES) {
            items.push(item);
        }
    }
    let mailboxes = (0..MAILBOXES).map(seed::address).collect();
    let bare = bare::run(&fleet.deployment.exchange, fleet.account(), mailboxes, Job::Fetch(items)).await?;
    progress(&format!("{messages} messages of {} KiB on average go from Exchange to the CRM", bytes / messages / 1024));
    let worker = fleet.worker()?;
    let last = fleet.journal.extent(Part::Crm).await.map_err(|error| failed(&error))?.last;
    let mut commits = fleet.journal.follow_after(&[Kind::Email], Part::Crm, last);
    let crm = fleet.deployment.process_id(Role::Crm).map(|id| id.to_string()).unwrap_or_default();
    let (began, before, own) =
        (postroad_rig::clock::instant(), processor::precise(&worker)?, processor::precise("self")?);
    let crm_before = processor::precise(&crm)?;
    fleet.seed(MAILBOXES).await?;
    while !missing.is_empty() {
        let left = PATIENCE.saturating_sub(began.elapsed());
        let followed = tokio::time::timeout(left, commits.next()).await;
        let followed = followed.map_err(|_| failed(&format!("{} messages did not arrive", missing.len())))?;
        let Some(Followed::Email(_, commit)) = followed else { continue };
        for event in commit.events {
            if let Event::Promoted { email, .. } = event {
                missing.remove(email.message_id.as_deref().unwrap_or_default().trim_matches(['<', '>']));
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let spent = processor::precise(&worker)?.saturating_sub(before).as_secs_f64();
    let crm = processor::precise(&crm)?.saturating_sub(crm_before).as_secs_f64();
    let others = processor::precise("self")?.saturating_sub(own).as_secs_f64() / (seconds * processor::cores()) * 100.0;
    progress(&format!(
        "the fake Exchange took {others:.0} % of the machine meanwhile, the crm role {crm:.1} CPU seconds"
    ));
    let count = messages as f64;
    let sizes = "mail, 6/10 of 4, 3/10 of 40, 1/10 of 400 KB";
    Ok(vec![
        Figure::new(sizes, "messages per CPU second", count / spent)
            .beside("bare HTTP", count / bare.processor_seconds)
            .aimed(Target::RatioAtLeast(0.5)),
        Figure::new(sizes, "messages per second", count / seconds).beside("bare HTTP", count / bare.seconds),
    ])
}

/// Mailboxes that are polled as fast as may be: polls by processor time of the sync role.
pub async fn polls(time: Duration) -> Result<Figure, Error> {
    let poll = Duration::from_millis(100);
    let options = Options { poll, idle_poll: poll, notifications: false, ..Options::default() };
    let mut fleet = Box::pin(Fleet::open(POLLED, options)).await?;
    fleet.seed(POLLED).await?;
    let polled = async || fleet.polls();
    let until = postroad_rig::clock::instant() + PATIENCE;
    while polled().await < 20 * POLLED as u64 {
        if postroad_rig::clock::instant() > until {
            return Err(failed(&"the mailboxes are not polled"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    progress("polls that find nothing");
    let worker = fleet.worker()?;
    let (before, polls, own) = (processor::precise(&worker)?, fleet.polls(), processor::precise("self")?);
    let began = postroad_rig::clock::instant();
    tokio::time::sleep(time).await;
    let spent = processor::precise(&worker)?.saturating_sub(before).as_secs_f64();
    let polls = (fleet.polls() - polls) as f64;
    let share = processor::precise("self")?.saturating_sub(own).as_secs_f64()
        / (began.elapsed().as_secs_f64() * processor::cores())
        * 100.0;
    progress(&format!(
        "{:.0} polls a second; the fake Exchange took {share:.0} % of the machine meanwhile",
        polls / began.elapsed().as_secs_f64()
    ));
    let mailboxes = (0..POLLED).map(seed::address).collect();
    let times = (polls as usize / POLLED).clamp(5, 200);
    let bare = bare::run(&fleet.deployment.exchange, fleet.account(), mailboxes, Job::Poll(times)).await?;
    let figure = Figure::new("polls that find nothing", "per CPU second", polls / spent);
    Ok(figure.beside("bare HTTP", bare.requests as f64 / bare.processor_seconds).aimed(Target::RatioAtLeast(0.7)))
}
