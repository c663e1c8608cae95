//! Every fault of the fake Exchange, as cards that are dealt: none is played twice before each was played once.

use mockex::{BusyForm, Fault, FaultKind, ItemFault, PartialForm, Service};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use system::fragile::STRANGER;

/// Whom a fault may hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// One region, or one mailbox.
    Anywhere,
    /// One region as a whole, at every request until it is taken back.
    Region,
    /// Whoever comes next in one region, and only once: back-offs grow with each.
    Gently,
    /// One operation.
    Operation(&'static str),
    /// Autodiscover.
    Autodiscover,
}

/// A fault that can be dealt.
#[derive(Clone, Debug)]
pub struct Card {
    kind: FaultKind,
    aim: Aim,
}

fn status(status: u16, retry_after: Option<u32>, location: Option<&str>) -> FaultKind {
    FaultKind::HttpStatus { status, retry_after, location: location.map(str::to_owned) }
}

/// Every kind of fault, some in several forms.
///
/// No code that says of a sound message that it is broken or gone: believing the server, Postroad would be right to pass it over.
pub fn deck() -> Vec<Card> {
    let stranger = format!("https://{STRANGER}");
    let text = |code: &str| code.to_owned();
    let busy = |form| FaultKind::Busy { back_off_milliseconds: 300, form };
    let soap = |code: &str| FaultKind::SoapFault { code: text(code) };
    let response = |code: &str| FaultKind::ResponseError { code: text(code) };
    let inner = |code: &str| FaultKind::InnerError { code: text(code) };
    let (ews, autodiscover) = (format!("{stranger}/EWS/Exchange.asmx"), format!("{stranger}/autodiscover/x.svc"));
    let cards = [
        (FaultKind::Down, Aim::Region),
        (FaultKind::Down, Aim::Autodiscover),
        (status(401, None, None), Aim::Gently),
        (status(302, None, Some(&ews)), Aim::Anywhere),
        (status(302, None, Some(&autodiscover)), Aim::Autodiscover),
        (status(500, None, None), Aim::Anywhere),
        (status(503, Some(1), None), Aim::Gently),
        (status(503, None, None), Aim::Region),
        (FaultKind::HtmlPage, Aim::Anywhere),
        (busy(BusyForm::FaultTypes), Aim::Gently),
        (busy(BusyForm::FaultErrors), Aim::Gently),
        (busy(BusyForm::Response), Aim::Gently),
        (busy(BusyForm::Inner), Aim::Gently),
        (soap("ErrorInternalServerTransientError"), Aim::Anywhere),
        (soap("ErrorMailboxStoreUnavailable"), Aim::Anywhere),
        (soap("ErrorImpersonateUserDenied"), Aim::Gently),
        (soap("ErrorTooManyObjectsOpened"), Aim::Gently),
        (response("ErrorAccessDenied"), Aim::Gently),
        (response("ErrorMailboxMoveInProgress"), Aim::Anywhere),
        (response("ErrorExceededConnectionCount"), Aim::Gently),
        (inner("ErrorMailboxStoreUnavailable"), Aim::Anywhere),
        (FaultKind::CutAnswer { percent: 0 }, Aim::Anywhere),
        (FaultKind::CutAnswer { percent: 70 }, Aim::Region),
        (FaultKind::LostAnswer, Aim::Anywhere),
        (FaultKind::LostAnswer, Aim::Operation("SendItem")),
        (FaultKind::LostAnswer, Aim::Operation("CreateItem")),
        (FaultKind::LostAnswer, Aim::Operation("MoveItem")),
        (FaultKind::PartialBatch { keep: 1, form: PartialForm::Missing }, Aim::Operation("GetItem")),
        (FaultKind::PartialBatch { keep: 0, form: PartialForm::Stopped }, Aim::Operation("GetItem")),
        (FaultKind::Slow { milliseconds: 700 }, Aim::Region),
        (FaultKind::CutStream { after: 1 }, Aim::Region),
        (FaultKind::BufferedStream, Aim::Region),
        (FaultKind::SlowStream { milliseconds: 500 }, Aim::Region),
        (FaultKind::GarbageStream, Aim::Region),
        (FaultKind::SingleBytes, Aim::Region),
        (FaultKind::InvalidSyncState, Aim::Anywhere),
        (FaultKind::RedirectAddress { address: text("moved@contoso.example") }, Aim::Autodiscover),
        (FaultKind::RedirectUrl { url: autodiscover.clone() }, Aim::Autodiscover),
    ];
    cards.into_iter().map(|(kind, aim)| Card { kind, aim }).collect()
}

/// What may be wrong with a message itself; `None` is a sound one.
pub fn flaws() -> [Option<ItemFault>; 4] {
    [
        None,
        Some(ItemFault::Poison { code: "ErrorItemCorrupt".to_owned() }),
        Some(ItemFault::Mime { code: "ErrorMimeContentConversionFailed".to_owned() }),
        Some(ItemFault::IllegalCharacters),
    ]
}

impl Card {
    /// What it is.
    pub const fn kind(&self) -> &FaultKind {
        &self.kind
    }

    /// A fault of this kind for somebody.
    pub fn aimed(&self, random: &mut StdRng, regions: &[&str], mailboxes: &[String]) -> Fault {
        let fault = Fault::new(self.kind.clone());
        let region = regions.choose(random).copied().unwrap_or_default();
        let mailbox = mailboxes.choose(random).map(String::as_str).unwrap_or_default();
        match self.aim {
            Aim::Anywhere if random.random() => fault.region(region),
            Aim::Anywhere => fault.mailbox(mailbox).times(random.random_range(1..8)),
            Aim::Region => fault.region(region),
            Aim::Gently => fault.service(Service::Ews).region(region).times(1),
            Aim::Operation(name) => fault.operation(name).times(random.random_range(1..6)),
            Aim::Autodiscover => fault.service(Service::Autodiscover),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A number for each kind: a new one does not compile until it has one, and is not passed until it is dealt.
    const fn kind(kind: &FaultKind) -> u8 {
        match kind {
            FaultKind::Down => 0,
            FaultKind::HttpStatus { .. } => 1,
            FaultKind::HtmlPage => 2,
            FaultKind::Busy { form: BusyForm::FaultTypes, .. } => 3,
            FaultKind::Busy { form: BusyForm::FaultErrors, .. } => 4,
            FaultKind::Busy { form: BusyForm::Response, .. } => 5,
            FaultKind::Busy { form: BusyForm::Inner, .. } => 6,
            FaultKind::SoapFault { .. } => 7,
            FaultKind::ResponseError { .. } => 8,
            FaultKind::InnerError { .. } => 9,
            FaultKind::CutAnswer { .. } => 10,
            FaultKind::LostAnswer => 11,
            FaultKind::PartialBatch { form: PartialForm::Missing, .. } => 12,
            FaultKind::PartialBatch { form: PartialForm::Stopped, .. } => 13,
            FaultKind::Slow { .. } => 14,
            FaultKind::CutStream { .. } => 15,
            FaultKind::BufferedStream => 16,
            FaultKind::SlowStream { .. } => 17,
            FaultKind::GarbageStream => 18,
            FaultKind::SingleBytes => 19,
            FaultKind::InvalidSyncState => 20,
            FaultKind::RedirectAddress { .. } => 21,
            FaultKind::RedirectUrl { .. } => 22,
        }
    }
    const KINDS: u8 = 23;

    const fn flaw(flaw: &ItemFault) -> u8 {
        match flaw {
            ItemFault::Poison { .. } => 0,
            ItemFault::Mime { .. } => 1,
            ItemFault::IllegalCharacters => 2,
        }
    }
    const FLAWS: u8 = 3;

    #[test]
    fn every_fault_of_the_fake_exchange_is_in_the_deck() {
        let dealt: BTreeSet<u8> = deck().iter().map(|card| kind(&card.kind)).collect();
        assert_eq!(dealt, (0..KINDS).collect());
        let dealt: BTreeSet<u8> = flaws().iter().flatten().map(flaw).collect();
        assert_eq!(dealt, (0..FLAWS).collect());
    }
}
