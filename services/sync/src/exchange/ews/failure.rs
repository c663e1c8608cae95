//! What an error of EWS means to the cycle.

use postroad_core::fault::{Code, Report};
use postroad_ews::{Class, Client, Error, ItemError, Kind, Known};

use crate::exchange::{Failure, ItemFailure};

/// What an error about one item means: to the item, or to the whole mailbox.
pub fn item_failure(error: &ItemError) -> Result<ItemFailure, Failure> {
    if error.is_unattempted() {
        return Ok(ItemFailure::NotAttempted);
    }
    let report = |code| Report::new(code, error.to_string());
    Ok(match error.class() {
        Class::Throttled => {
            return Err(Failure::Throttled(error.back_off().unwrap_or_default(), report(Code::ServerBusy)));
        }
        Class::Rediscover => return Err(Failure::Rediscover(report(Code::MailboxMoving))),
        Class::Transient => return Err(Failure::Fault(report(Code::ExchangeTransient))),
        Class::Auth => return Err(Failure::Fault(report(Code::MailboxAccessDenied))),
        Class::Gone => ItemFailure::Gone,
        _ => ItemFailure::Failed(report(Code::ItemUnreadable)),
    })
}

/// What an error about an email that is being sent means: to the email, or to the whole mailbox.
pub fn sending_failure(step: &str, error: &ItemError) -> Result<Report, Failure> {
    let known = match error {
        ItemError::Response(error) => error.effective_code().known(),
        _ => None,
    };
    let code = match known {
        Some(Known::ErrorSendAsDenied) => Code::SendAsDenied,
        Some(Known::ErrorQuotaExceeded) => Code::MailboxFull,
        Some(
            Known::ErrorMessageSizeExceeded
            | Known::ErrorAttachmentSizeLimitExceeded
            | Known::ErrorRequestStreamTooBig
            | Known::ErrorDataSizeLimitExceeded,
        ) => Code::EmailTooLarge,
        Some(
            Known::ErrorInvalidRecipients
            | Known::ErrorMissingRecipients
            | Known::ErrorMailRecipientNotFound
            | Known::ErrorInvalidSmtpAddress,
        ) => Code::RecipientInvalid,
        _ => match item_failure(error)? {
            // An answer that leaves it out says nothing about it: looked up by the next cycle.
            ItemFailure::NotAttempted => {
                return Err(Failure::Fault(Report::new(Code::ExchangeTransient, format!("{step}: {error}"))));
            }
            ItemFailure::Gone | ItemFailure::Failed(_) => Code::EmailNotSent,
        },
    };
    Ok(Report::new(code, format!("{step}: {error}")))
}

/// What an error of a whole request means.
pub fn failure(error: &Error, client: &Client) -> Failure {
    let host = client.access().endpoint.host();
    let report = Report::new(error.fault(), format!("{host}: {error}"));
    match error.class() {
        Class::Throttled => Failure::Throttled(error.back_off().unwrap_or_default(), report),
        Class::Resync => Failure::Resync(report),
        _ if error.doubts_location() => Failure::Rediscover(report),
        _ if matches!(error.kind(), Kind::Malformed(_) | Kind::TooLarge(_)) => Failure::Content(report),
        _ => Failure::Fault(report),
    }
}
