//! Messages of the contracts by their own descriptors: a field that is added to a contract is printed and read without
//! another line here.

use std::sync::LazyLock;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use postroad_core::fault::{Code, Report};
use postroad_proto::{alert, crm, fault, mailbox, profile, sync};
use prost_reflect::{DescriptorPool, DynamicMessage, EnumDescriptor, MessageDescriptor};

use crate::failure::Failure;

mod written;

pub use written::{Extent, Written};

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(postroad_proto::DESCRIPTORS).ok());

/// A message of a contract, by the name in its file.
pub trait Described: prost::Message + Default {
    /// Package and name.
    const NAME: &'static str;
}

macro_rules! described {
    ($($message:ty = $name:literal;)*) => {
        $(impl Described for $message { const NAME: &'static str = $name; })*

        #[cfg(test)]
        const NAMES: &[&str] = &[$($name),*];
    };
}

described! {
    profile::v1::Profile = "postroad.profile.v1.Profile";
    profile::v1::ProfileSettings = "postroad.profile.v1.ProfileSettings";
    profile::v1::ProfileChange = "postroad.profile.v1.ProfileChange";
    profile::v1::TestProfileResponse = "postroad.profile.v1.TestProfileResponse";
    profile::v1::TestSettingsResponse = "postroad.profile.v1.TestSettingsResponse";
    profile::v1::LocateMailboxResponse = "postroad.profile.v1.LocateMailboxResponse";
    profile::v1::ResealPasswordsResponse = "postroad.profile.v1.ResealPasswordsResponse";
    mailbox::v1::Mailbox = "postroad.mailbox.v1.Mailbox";
    mailbox::v1::MailboxSettings = "postroad.mailbox.v1.MailboxSettings";
    mailbox::v1::MailboxResult = "postroad.mailbox.v1.MailboxResult";
    mailbox::v1::TestAndEnableMailboxesResponse = "postroad.mailbox.v1.TestAndEnableMailboxesResponse";
    mailbox::v1::SummarizeMailboxesResponse = "postroad.mailbox.v1.SummarizeMailboxesResponse";
    mailbox::v1::TimelineEntry = "postroad.mailbox.v1.TimelineEntry";
    crm::v1::Record = "postroad.crm.v1.Record";
    crm::v1::Email = "postroad.crm.v1.Email";
    crm::v1::ErasePersonResponse = "postroad.crm.v1.ErasePersonResponse";
    crm::v1::ResealContentKeysResponse = "postroad.crm.v1.ResealContentKeysResponse";
    crm::v1::QueueItem = "postroad.crm.v1.QueueItem";
    sync::v1::MessageVerdict = "postroad.sync.v1.MessageVerdict";
    sync::v1::TryRulesResponse = "postroad.sync.v1.TryRulesResponse";
    sync::v1::AuditMailboxResponse = "postroad.sync.v1.AuditMailboxResponse";
    sync::v1::Folder = "postroad.sync.v1.Folder";
    sync::v1::GetProgressResponse = "postroad.sync.v1.GetProgressResponse";
    sync::v1::ListWorkersResponse = "postroad.sync.v1.ListWorkersResponse";
    sync::v1::DrainWorkerResponse = "postroad.sync.v1.DrainWorkerResponse";
    sync::v1::ServerStatus = "postroad.sync.v1.ServerStatus";
    alert::v1::Alert = "postroad.alert.v1.Alert";
    fault::v1::Fault = "postroad.fault.v1.Fault";
}

/// The descriptor of a message.
pub fn descriptor<M: Described>() -> Result<MessageDescriptor, Failure> {
    POOL.as_ref().and_then(|pool| pool.get_message_by_name(M::NAME)).ok_or_else(|| broken(M::NAME))
}

/// A message whose fields are read and written by name.
pub fn dynamic<M: Described>(message: &M) -> Result<DynamicMessage, Failure> {
    let mut dynamic = DynamicMessage::new(descriptor::<M>()?);
    dynamic.transcode_from(message).map_err(|_| broken(M::NAME))?;
    Ok(dynamic)
}

/// The message whose fields were written by name.
pub fn message<M: Described>(dynamic: &DynamicMessage) -> Result<M, Failure> {
    dynamic.transcode_to().map_err(|_| broken(M::NAME))
}

fn broken(name: &str) -> Failure {
    Failure::from(&Report::new(Code::Internal, format!("the contracts do not describe {name}")))
}

/// The word for a value of an enumeration: its name without the prefix, in lower case.
pub fn word(enumeration: &EnumDescriptor, number: i32) -> Option<String> {
    let value = enumeration.get_value(number)?;
    let prefix = format!("{}_", enumeration.default_value().name().trim_end_matches("_UNSPECIFIED"));
    Some(value.name().strip_prefix(&prefix).unwrap_or_else(|| value.name()).to_lowercase())
}

/// The words of an enumeration, without the one for unspecified.
pub fn words(enumeration: &EnumDescriptor) -> Vec<String> {
    enumeration
        .values()
        .filter(|value| value.number() != 0)
        .filter_map(|value| word(enumeration, value.number()))
        .collect()
}

/// The number that a word stands for; the contract's own name is understood too.
pub fn number(enumeration: &EnumDescriptor, text: &str) -> Option<i32> {
    let wanted = text.trim().to_lowercase().replace([' ', '-'], "_");
    let mut values = enumeration.values().filter(|value| value.number() != 0);
    values.find_map(|value| {
        let fits = word(enumeration, value.number()).is_some_and(|word| word == wanted)
            || value.name().to_lowercase() == wanted;
        fits.then(|| value.number())
    })
}

/// A flag's values: the words of an enumeration whose names begin with `prefix`.
pub fn choice<E>(
    prefix: &'static str,
    words: &'static [&'static str],
    by_name: fn(&str) -> Option<E>,
) -> impl TypedValueParser<Value = E>
where
    E: Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(move |word| {
        by_name(&format!("{prefix}_{}", word.to_uppercase())).ok_or("is not known to this version")
    })
}

#[cfg(test)]
mod tests {
    use postroad_proto::profile::v1::{ProfileSettings, ServerType};
    use prost_reflect::Kind;

    use super::*;

    #[test]
    fn every_name_is_described() {
        let pool = POOL.as_ref().unwrap();
        for name in NAMES {
            assert!(pool.get_message_by_name(name).is_some(), "{name}");
        }
    }

    #[test]
    fn words_are_understood_in_every_form() {
        let field = descriptor::<ProfileSettings>().unwrap().get_field_by_name("server_type").unwrap();
        let Kind::Enum(kind) = field.kind() else { panic!("an enumeration") };
        for text in ["exchange_server", "Exchange Server", "exchange-server", "SERVER_TYPE_EXCHANGE_SERVER"] {
            assert_eq!(number(&kind, text), Some(ServerType::ExchangeServer.into()));
        }
        assert_eq!(number(&kind, "unspecified"), None);
        assert_eq!(words(&kind), ["exchange_server_hybrid", "exchange_server", "exchange_online"]);
    }
}
