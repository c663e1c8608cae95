//! Faults on command: what goes wrong, for whom, and how often.

use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// A fault. Every part of the scope left out means "any"; with no part at all the whole organisation is affected.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only requests to this region's EWS endpoint.
    #[serde(default)]
    pub region: Option<String>,
    /// Only requests for the mailbox with this primary address.
    #[serde(default)]
    pub mailbox: Option<String>,
    /// Only this operation, e.g. `GetItem` (Autodiscover: `GetUserSettings`, `pox`).
    #[serde(default)]
    pub operation: Option<String>,
    /// Only EWS, only Autodiscover or only the token endpoint.
    #[serde(default)]
    pub service: Option<Service>,
    /// How many requests it hits before it goes away; for ever if none.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many matching requests it lets pass first.
    #[serde(default)]
    pub after: u32,
    /// Which share of the matching requests it hits after that; all if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// A share of requests, drawn at random but always in the same order.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// How many of a thousand are hit.
    pub per_mille: u16,
    /// What the order follows from.
    pub seed: u64,
    /// How many were drawn so far.
    #[serde(default)]
    pub drawn: u64,
}

/// One of the services of an organisation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Exchange Web Services.
    Ews,
    /// Autodiscover, SOAP and POX.
    Autodiscover,
    /// The token endpoint.
    Token,
}

/// What goes wrong.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// Connections are closed without a byte; for a scope of region or service right after they are accepted.
    Down,
    /// A bare HTTP status: 401 with the challenge of the organisation, 302 with `location`, 503 with `retry_after`, others as IIS
    /// answers them.
    HttpStatus {
        /// The status code.
        status: u16,
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
        /// `Location`, for redirects.
        #[serde(default)]
        location: Option<String>,
    },
    /// Status 200 with a logon page.
    HtmlPage,
    /// `ErrorServerBusy`.
    Busy {
        /// The hint; 0 really occurs.
        back_off_milliseconds: u64,
        /// Which of the real forms.
        #[serde(default)]
        form: BusyForm,
    },
    /// A SOAP fault (HTTP 500) with this response code.
    SoapFault {
        /// E.g. `ErrorMailboxStoreUnavailable`.
        code: String,
    },
    /// HTTP 200, and the first response message is this error; the rest are not processed.
    ResponseError {
        /// E.g. `ErrorAccessDenied`.
        code: String,
    },
    /// HTTP 200 with `ErrorInternalServerError`, the real code inside.
    InnerError {
        /// E.g. `ErrorServerBusy`.
        code: String,
    },
    /// The right answer, of which at most this share of the bytes is sent before the connection is cut.
    CutAnswer {
        /// 0 to 99.
        percent: u8,
    },
    /// The operation is performed, and the connection closed without a byte of its answer. Requests that are refused (any
    /// status but 200) are not affected and do not use it up.
    LostAnswer,
    /// Only the first messages of a batch answer.
    PartialBatch {
        /// How many are kept.
        keep: usize,
        /// What happens with the others.
        #[serde(default)]
        form: PartialForm,
    },
    /// The right answer, late.
    Slow {
        /// The delay.
        milliseconds: u64,
    },
    /// A stream breaks instead of its next envelope of events, after so many.
    CutStream {
        /// How many pass.
        after: u32,
    },
    /// A proxy holds the stream back: nothing arrives, not even heartbeats.
    BufferedStream,
    /// The events of a stream come late.
    SlowStream {
        /// The delay.
        milliseconds: u64,
    },
    /// Something else than envelopes comes first.
    GarbageStream,
    /// Each byte of a stream comes in a chunk of its own.
    SingleBytes,
    /// SyncFolderItems and SyncFolderHierarchy refuse the state they are given (`ErrorInvalidSyncStateData`). Calls without
    /// a state are not affected and do not use it up.
    InvalidSyncState,
    /// Autodiscover sends the client to another address, as for a mailbox that was moved to another organisation.
    RedirectAddress {
        /// The address to ask about instead.
        address: String,
    },
    /// Autodiscover sends the client to another Autodiscover.
    RedirectUrl {
        /// Its URL.
        url: String,
    },
}

/// Which form an `ErrorServerBusy` takes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BusyForm {
    /// A SOAP fault, `MessageXml` in the types namespace.
    #[default]
    FaultTypes,
    /// A SOAP fault, `MessageXml` in the errors namespace and no SOAP header.
    FaultErrors,
    /// HTTP 200, the first response message.
    Response,
    /// HTTP 200, inside `ErrorInternalServerError`.
    Inner,
}

/// What a partial batch does with the messages it does not answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartialForm {
    /// Leaves them out.
    #[default]
    Missing,
    /// Answers `ErrorBatchProcessingStopped`.
    Stopped,
}

/// What is wrong with one stored item.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ItemFault {
    /// GetItem always fails with this code, e.g. `ErrorItemCorrupt`.
    Poison {
        /// The response code.
        code: String,
    },
    /// GetItem fails with this code when MIME is asked for, e.g. `ErrorMimeContentConversionFailed`.
    Mime {
        /// The response code.
        code: String,
    },
    /// The subject holds characters that XML 1.0 forbids; they are written as character references, as Exchange does.
    IllegalCharacters,
}

/// Where a request goes; what faults are matched against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub service: Service,
    pub region: Option<&'a str>,
    pub mailbox: Option<&'a str>,
    pub operation: Option<&'a str>,
}

/// The faults that are set. The first that matches and fits the moment is taken.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    set: Mutex<Vec<(u64, Fault)>>,
    next: std::sync::atomic::AtomicU64,
}

// === impl Fault ===

impl Fault {
    /// A fault of the whole organisation, for ever.
    #[must_use]
    pub const fn new(kind: FaultKind) -> Self {
        Self { region: None, mailbox: None, operation: None, service: None, times: None, after: 0, share: None, kind }
    }

    /// Only for EWS requests to this region.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only for this mailbox.
    #[must_use]
    pub fn mailbox(mut self, address: &str) -> Self {
        self.mailbox = Some(address.to_owned());
        self
    }

    /// Only for this operation.
    #[must_use]
    pub fn operation(mut self, operation: &str) -> Self {
        self.operation = Some(operation.to_owned());
        self
    }

    /// Only for this service.
    #[must_use]
    pub const fn service(mut self, service: Service) -> Self {
        self.service = Some(service);
        self
    }

    /// Only for so many requests.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only after so many matching requests.
    #[must_use]
    pub const fn after(mut self, after: u32) -> Self {
        self.after = after;
        self
    }

    /// Only so many of a thousand matching requests, drawn at random in an order that follows from the seed.
    #[must_use]
    pub const fn share(mut self, per_mille: u16, seed: u64) -> Self {
        self.share = Some(Share { per_mille, seed, drawn: 0 });
        self
    }

    fn covers(&self, target: Target<'_>) -> bool {
        let fits = |wanted: &Option<String>, given: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| given.is_some_and(|given| wanted.eq_ignore_ascii_case(given)))
        };
        self.service.is_none_or(|service| service == target.service)
            && fits(&self.region, target.region)
            && fits(&self.mailbox, target.mailbox)
            && fits(&self.operation, target.operation)
    }
}

// === impl Share ===

impl Share {
    /// Whether the next request is hit.
    fn draw(&mut self) -> bool {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_add(self.drawn.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        self.drawn += 1;
        random.random_range(0..1000) < self.per_mille
    }
}

// === impl Faults ===

impl Faults {
    pub fn add(&self, fault: Fault) -> u64 {
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        self.set.lock().unwrap_or_else(PoisonError::into_inner).push((id, fault));
        id
    }

    pub fn remove(&self, id: u64) -> bool {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let before = set.len();
        set.retain(|(known, _)| *known != id);
        set.len() < before
    }

    pub fn clear(&self) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub fn list(&self) -> Vec<(u64, Fault)> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The fault of the wanted kinds that hits this request, counted off.
    pub fn take(&self, target: Target<'_>, wanted: impl Fn(&FaultKind) -> bool) -> Option<FaultKind> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let position = set.iter_mut().position(|(_, fault)| {
            if !wanted(&fault.kind) || !fault.covers(target) {
                return false;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return false;
            }
            fault.share.as_mut().is_none_or(Share::draw)
        })?;
        let (_, fault) = set.get_mut(position)?;
        let kind = fault.kind.clone();
        let spent = fault.times.as_mut().is_some_and(|times| {
            *times = times.saturating_sub(1);
            *times == 0
        });
        if spent {
            set.remove(position);
        }
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target<'static> = Target {
        service: Service::Ews,
        region: Some("europe"),
        mailbox: Some("ana@contoso.example"),
        operation: Some("GetItem"),
    };

    #[test]
    fn a_fault_hits_its_scope_only_and_is_used_up() {
        let faults = Faults::default();
        faults.add(Fault::new(FaultKind::HtmlPage).region("asia"));
        faults.add(Fault::new(FaultKind::Down).mailbox("ANA@contoso.example").operation("GetItem").times(1).after(1));
        assert!(faults.take(TARGET, |_| true).is_none(), "one request passes first");
        assert!(matches!(faults.take(TARGET, |_| true), Some(FaultKind::Down)));
        assert!(faults.take(TARGET, |_| true).is_none(), "used up");
        assert_eq!(faults.list().len(), 1);
    }

    #[test]
    fn a_share_is_hit_at_random_and_always_the_same() {
        let hits = |per_mille, seed| {
            let faults = Faults::default();
            faults.add(Fault::new(FaultKind::LostAnswer).share(per_mille, seed));
            (0..1000).map(|_| faults.take(TARGET, |_| true).is_some()).collect::<Vec<_>>()
        };
        let count = |hits: Vec<bool>| hits.into_iter().filter(|hit| *hit).count();
        assert!((200..300).contains(&count(hits(250, 7))), "{}", count(hits(250, 7)));
        assert_eq!(hits(250, 7), hits(250, 7));
        assert_ne!(hits(250, 7), hits(250, 8));
        assert_eq!((count(hits(0, 7)), count(hits(1000, 7))), (0, 1000));
    }

    #[test]
    fn json_names_a_fault_as_the_documentation_does() {
        let fault: Fault = serde_json::from_str(
            r#"{"region":"europe","times":2,"kind":{"busy":{"back_off_milliseconds":5000,"form":"response"}}}"#,
        )
        .unwrap();
        assert!(matches!(fault.kind, FaultKind::Busy { back_off_milliseconds: 5000, form: BusyForm::Response }));
        let lost = r#"{"operation":"SendItem","share":{"per_mille":200,"seed":7},"kind":"lost_answer"}"#;
        assert_eq!(serde_json::from_str::<Fault>(lost).unwrap().share.unwrap().per_mille, 200);
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"down"}"#).is_ok());
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"down","regoin":"x"}"#).is_err());
    }
}
