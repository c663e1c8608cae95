//! Which row of the fault table a failure is.

use postroad_core::fault::Code;

use crate::{
    Class, ConnectFailure, Error, HttpMeaning, Kind, Known, RedirectMeaning, Refusal, ResponseCode, TlsFailure,
    TokenFailure, TransportError,
};

impl Error {
    /// The row of the fault table.
    #[must_use]
    pub fn fault(&self) -> Code {
        self.kind().fault()
    }
}

impl Kind {
    /// The row of the fault table.
    #[must_use]
    pub fn fault(&self) -> Code {
        match self {
            Self::Dns(_) => Code::DnsFailed,
            Self::Address(_) => Code::AddressRefused,
            Self::Connect(ConnectFailure::TimedOut | ConnectFailure::Unreachable) => Code::ConnectTimeout,
            Self::Connect(_) => Code::ConnectRefused,
            Self::Tls(failure) => tls(failure),
            Self::Timeout(_) => Code::ResponseTimeout,
            Self::Truncated(_) => Code::ResponseTruncated,
            Self::TooLarge(_) => Code::ResponseTooLarge,
            Self::Token(failure) => token(failure),
            Self::Unauthorized(challenge) => match challenge.refusal() {
                Refusal::Rejected => Code::CredentialsRejected,
                Refusal::BasicNotOffered => Code::BasicNotOffered,
                Refusal::TokenRequired => Code::BearerRequired,
                Refusal::NotExchange => Code::ChallengeMissing,
                Refusal::BearerNotOffered => Code::BearerNotOffered,
                Refusal::TokenRefused => Code::TokenRefused,
                Refusal::TokenPermissionMissing => Code::TokenPermissionMissing,
                Refusal::TokenUnchecked => Code::ExchangeTransient,
            },
            Self::Redirect { meaning: RedirectMeaning::ErrorPage, .. } => Code::HttpServerError,
            Self::Redirect { .. } => Code::HttpRedirected,
            Self::Http { meaning, .. } => http(*meaning),
            Self::Page { .. } => Code::NotExchange,
            Self::Malformed(_) => Code::ResponseMalformed,
            Self::Fault(fault) => fault.effective_code().fault(),
            Self::Response(error) => error.effective_code().fault(),
        }
    }
}

impl TransportError {
    /// The row of the fault table.
    #[must_use]
    pub fn fault(&self) -> Code {
        match self {
            Self::TrustAnchor(_) => Code::TrustAnchorInvalid,
            Self::SystemTlsNotBuilt => Code::SystemTlsNotBuilt,
            Self::UserAgent | Self::Setup(_) => Code::ConfigurationInvalid,
        }
    }
}

impl ResponseCode {
    /// The row of the fault table, for a code that concerns a request as a whole.
    #[must_use]
    pub fn fault(&self) -> Code {
        self.known().and_then(named).unwrap_or_else(|| match self.class() {
            Class::Throttled => Code::ServerBusy,
            Class::Transient | Class::Conflict => Code::ExchangeTransient,
            Class::Rediscover => Code::MailboxMoving,
            Class::Version => Code::VersionRefused,
            Class::Auth => Code::MailboxAccessDenied,
            Class::Config => Code::ConfigurationRefused,
            Class::Resync => Code::SyncStateInvalid,
            Class::Gone => Code::FolderMissing,
            Class::Quota => Code::QuotaExceeded,
            Class::ItemPermanent => Code::ItemUnreadable,
            Class::RequestBug | Class::Unrelated => Code::RequestRefused,
            Class::Success | Class::Warning | Class::Generic | Class::Unknown => Code::ExchangeInternal,
        })
    }
}

/// Codes whose remedy is finer than their class.
fn named(known: Known) -> Option<Code> {
    Some(match known {
        Known::ErrorExceededConnectionCount => Code::ConnectionsExceeded,
        Known::ErrorMailboxStoreUnavailable | Known::ErrorMailboxFailover => Code::StoreUnavailable,
        Known::ErrorImpersonateUserDenied | Known::ErrorImpersonationDenied | Known::ErrorImpersonationFailed => {
            Code::ImpersonationDenied
        }
        Known::ErrorInvalidLicense => Code::MailboxWithoutLicense,
        Known::ErrorAccountDisabled => Code::AccountDisabled,
        Known::ErrorPasswordExpired | Known::ErrorPasswordChangeRequired => Code::PasswordExpired,
        Known::ErrorNonExistentMailbox => Code::MailboxNotFound,
        Known::ErrorNonPrimarySmtpAddress => Code::AddressNotPrimary,
        Known::ErrorFolderNotFound | Known::ErrorSyncFolderNotFound => Code::FolderMissing,
        _ => return None,
    })
}

fn tls(failure: &TlsFailure) -> Code {
    match failure {
        TlsFailure::UntrustedIssuer => Code::TlsUntrusted,
        TlsFailure::NameMismatch { .. } => Code::TlsNameMismatch,
        TlsFailure::Expired | TlsFailure::NotYetValid => Code::TlsExpired,
        TlsFailure::Certificate(_) => Code::TlsUntrusted,
        TlsFailure::Obsolete(_) => Code::TlsObsolete,
        TlsFailure::Handshake(_) => Code::TlsHandshake,
        TlsFailure::NotTls => Code::TlsNotSpoken,
    }
}

fn token(failure: &TokenFailure) -> Code {
    match failure {
        // A certificate is the same trouble here as in front of Exchange, and has the same remedies.
        TokenFailure::Unavailable(kind) => match kind.as_ref() {
            Kind::Tls(failure) => tls(failure),
            _ => Code::TokenServiceUnavailable,
        },
        TokenFailure::Unreadable(_) => Code::TokenServiceUnavailable,
        TokenFailure::Rejected(_) => Code::ClientCredentialsRejected,
        TokenFailure::Refused(_) | TokenFailure::Unsigned(_) => Code::TokenRequestRefused,
    }
}

const fn http(meaning: HttpMeaning) -> Code {
    match meaning {
        HttpMeaning::Forbidden => Code::HttpForbidden,
        HttpMeaning::TokenPermission => Code::TokenPermissionMissing,
        HttpMeaning::NotFound => Code::HttpNotFound,
        HttpMeaning::AccountLocked => Code::AccountLocked,
        HttpMeaning::LogOnPage | HttpMeaning::NotAnEndpoint | HttpMeaning::WrongApplication => Code::NotExchange,
        HttpMeaning::VersionRefused => Code::VersionRefused,
        HttpMeaning::Throttled => Code::ServerBusy,
        HttpMeaning::Gateway | HttpMeaning::Unavailable | HttpMeaning::RoutingFailed => Code::HttpUnavailable,
        HttpMeaning::ServerFailed | HttpMeaning::StorageFull => Code::HttpServerError,
        HttpMeaning::BadRequest
        | HttpMeaning::ProxyAuthentication
        | HttpMeaning::RequestTooLarge
        | HttpMeaning::FormRefused
        | HttpMeaning::ProxyRefused
        | HttpMeaning::Other => Code::HttpUnexpected,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ErrorServerBusy", Code::ServerBusy)]
    #[case("ErrorExceededConnectionCount", Code::ConnectionsExceeded)]
    #[case("ErrorMailboxMoveInProgress", Code::MailboxMoving)]
    #[case("ErrorCrossSiteRequest", Code::MailboxMoving)]
    #[case("ErrorMailboxStoreUnavailable", Code::StoreUnavailable)]
    #[case("ErrorImpersonateUserDenied", Code::ImpersonationDenied)]
    #[case("ErrorNonExistentMailbox", Code::MailboxNotFound)]
    #[case("ErrorNonPrimarySmtpAddress", Code::AddressNotPrimary)]
    #[case("ErrorAccountDisabled", Code::AccountDisabled)]
    #[case("ErrorInvalidSyncStateData", Code::SyncStateInvalid)]
    #[case("ErrorSyncFolderNotFound", Code::FolderMissing)]
    #[case("ErrorAccessDenied", Code::MailboxAccessDenied)]
    #[case("ErrorFutureCodeNobodyKnows", Code::ExchangeInternal)]
    fn a_response_code_is_a_row(#[case] text: &str, #[case] row: Code) {
        assert_eq!(ResponseCode::read(text).fault(), row);
    }
}
