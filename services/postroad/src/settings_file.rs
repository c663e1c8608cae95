//! Settings from files and flags, and the update mask that says which of them were given.
//!
//! A file is one TOML table with the contract's field names. Flags override it. An empty text for a field that is not a
//! text takes it back to its default.

use std::path::Path;

use postroad_core::fault::Code;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use toml::{Spanned, de::DeTable, de::DeValue};

use crate::{
    contract::{self, Described},
    failure::Failure,
};

/// Settings and which of them were given.
#[derive(Debug)]
pub struct Changes<S> {
    settings: S,
    fields: Vec<String>,
}

impl<S: Described> Changes<S> {
    /// None yet.
    pub fn none() -> Self {
        Self { settings: S::default(), fields: Vec::new() }
    }

    /// What a file says, or none without a file.
    pub fn from_file(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else { return Ok(Self::none()) };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::refused(Code::FileUnusable, name.clone(), format!("cannot be read: {error}")))?;
        Self::parse(&name, &text)
    }

    fn parse(file: &str, text: &str) -> Result<Self, Failure> {
        let source = Source { file, text };
        let table = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            Failure::refused(Code::FieldUnknown, source.place(start), error.message().replace('\n', "; "))
        })?;
        let descriptor = contract::descriptor::<S>()?;
        let mut message = DynamicMessage::new(descriptor.clone());
        let mut keys: Vec<_> = table.get_ref().iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        let mut fields = Vec::new();
        for (key, value) in keys {
            let field = source.field(&descriptor, key)?;
            if let Some(value) = source.value(&field, value)? {
                message.set_field(&field, value);
            }
            fields.push(field.name().to_owned());
        }
        Ok(Self { settings: contract::message(&message)?, fields })
    }

    /// Sets a field and notes that it was given.
    pub fn set(&mut self, field: &str, change: impl FnOnce(&mut S)) {
        change(&mut self.settings);
        if !self.has(field) {
            self.fields.push(field.to_owned());
        }
    }

    /// Sets a field if its flag was given.
    pub fn set_if<V>(&mut self, field: &str, value: Option<V>, change: impl FnOnce(&mut S, V)) {
        if let Some(value) = value {
            self.set(field, |settings| change(settings, value));
        }
    }

    /// Whether a field was given.
    pub fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|given| given == field)
    }

    /// The given fields on top of what is there.
    pub fn over(self, base: &S) -> Result<S, Failure> {
        let given = contract::dynamic(&self.settings)?;
        let mut merged = contract::dynamic(base)?;
        for name in &self.fields {
            if let Some(field) = contract::descriptor::<S>()?.get_field_by_name(name) {
                if given.has_field(&field) {
                    merged.set_field(&field, given.get_field(&field).into_owned());
                } else {
                    merged.clear_field(&field);
                }
            }
        }
        contract::message(&merged)
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The settings of something new.
    pub fn into_settings(self) -> S {
        self.settings
    }

    /// The settings and the mask of a change. Nothing to change is refused.
    pub fn into_update(self) -> Result<(S, prost_types::FieldMask), Failure> {
        if self.fields.is_empty() {
            let rule = "nothing to change was given; use the flags that --help lists, or -f FILE";
            return Err(Failure::refused(Code::FieldRequired, "update_mask", rule));
        }
        Ok((self.settings, prost_types::FieldMask { paths: self.fields }))
    }
}

/// Reads a time: RFC 3339, or a date, which begins at midnight UTC.
pub fn time(text: &str) -> Result<prost_types::Timestamp, String> {
    let text = text.trim();
    let date = || {
        text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    };
    // A date is tried first: it would be read as a time with a missing offset.
    let at = if text.len() == "2026-01-31".len() { date() } else { text.parse::<jiff::Timestamp>().ok() };
    at.map(postroad_rig::wire::timestamp).ok_or_else(|| {
        format!(
            "`{text}` is neither a time with its offset, such as 2026-01-31T00:00:00Z, nor a date such as 2026-01-31"
        )
    })
}

struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn place(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or_default();
        format!("{}, line {}", self.file, before.matches('\n').count() + 1)
    }

    fn field(
        &self,
        descriptor: &MessageDescriptor,
        key: &Spanned<toml::de::DeString<'_>>,
    ) -> Result<FieldDescriptor, Failure> {
        let name = key.get_ref().as_ref();
        let place = self.place(key.span().start);
        if name.to_lowercase().contains("password") {
            let rule = "a password does not belong in a file of settings; remove it, and use --password-file FILE, \
                        --password-stdin or --password-prompt";
            return Err(Failure::refused(Code::FieldNotApplicable, format!("{place}: {name}"), rule));
        }
        descriptor.get_field_by_name(name).ok_or_else(|| {
            let known: Vec<String> =
                descriptor.fields().map(|field| field.name().to_owned()).filter(|name| name != "password").collect();
            Failure::refused(
                Code::FieldUnknown,
                format!("{place}: {name}"),
                format!("is no setting; there are {}", known.join(", ")),
            )
        })
    }

    /// The value; `None` for an empty text that takes a field back to its default.
    fn value(&self, field: &FieldDescriptor, found: &Spanned<DeValue<'_>>) -> Result<Option<Value>, Failure> {
        let place = format!("{}: {}", self.place(found.span().start), field.name());
        let refused = |rule: String| Failure::refused(Code::ValueOutOfRange, place.clone(), rule);
        let expected = || refused(format!("is {} instead of {}", kind_of(found.get_ref()), expectation(field)));
        let found = found.get_ref();
        if field.is_list() {
            return texts(found).map(|texts| Some(Value::List(texts))).ok_or_else(expected);
        }
        if found.as_str() == Some("") && field.kind() != Kind::String {
            return Ok(None);
        }
        let value = match field.kind() {
            Kind::String => found.as_str().map(|text| Value::String(text.to_owned())),
            Kind::Bool => found.as_bool().map(Value::Bool),
            Kind::Uint32 => match found.as_integer() {
                Some(number) => {
                    let value = u32::from_str_radix(&number.as_str().replace('_', ""), number.radix());
                    Some(Value::U32(value.map_err(|_| refused(format!("{number} is not between 0 and {}", u32::MAX)))?))
                }
                None => None,
            },
            Kind::Enum(kind) => match found.as_str() {
                Some(text) => {
                    let unknown = || refused(format!("`{text}` is not {}", expectation(field)));
                    Some(Value::EnumNumber(contract::number(&kind, text).ok_or_else(unknown)?))
                }
                None => None,
            },
            // The only messages in settings are times; a new kind is refused instead of being misread.
            Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp" => {
                let text = found.as_str().map(str::to_owned).or_else(|| found.as_datetime().map(ToString::to_string));
                match text {
                    Some(text) => {
                        let at =
                            time(&text).map_err(|rule| Failure::refused(Code::TimeInvalid, place.clone(), rule))?;
                        Some(timestamp(&kind, at))
                    }
                    None => None,
                }
            }
            _ => None,
        };
        value.map(Some).ok_or_else(expected)
    }
}

fn timestamp(kind: &MessageDescriptor, at: prost_types::Timestamp) -> Value {
    let mut message = DynamicMessage::new(kind.clone());
    message.set_field_by_name("seconds", Value::I64(at.seconds));
    message.set_field_by_name("nanos", Value::I32(at.nanos));
    Value::Message(message)
}

/// A list of texts; a single text is a list of one, an empty one of none.
fn texts(found: &DeValue<'_>) -> Option<Vec<Value>> {
    match (found.as_str(), found.as_array()) {
        (Some(""), _) => Some(Vec::new()),
        (Some(text), _) => Some(vec![Value::String(text.to_owned())]),
        (_, Some(values)) => {
            values.iter().map(|value| value.get_ref().as_str().map(|text| Value::String(text.to_owned()))).collect()
        }
        _ => None,
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn expectation(field: &FieldDescriptor) -> String {
    if field.is_list() {
        return "a list of texts".to_owned();
    }
    match field.kind() {
        Kind::Bool => "true or false".to_owned(),
        Kind::Uint32 => "a whole number".to_owned(),
        Kind::Enum(kind) => format!("one of {}", contract::words(&kind).join(", ")),
        Kind::Message(_) => "a time such as 2026-01-31T00:00:00Z".to_owned(),
        _ => "a text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use postroad_proto::{
        mailbox::v1::{MailboxSettings, SynchronizationMethod},
        profile::v1::{ProfileSettings, ServerType},
    };

    use super::*;
    use crate::{
        contract::{Extent, Written},
        failure::Exit,
    };

    fn profile(text: &str) -> Result<Changes<ProfileSettings>, Failure> {
        Changes::parse("profile.toml", text)
    }

    fn refusal(text: &str) -> String {
        let failure = profile(text).unwrap_err();
        assert_eq!(failure.exit(), Exit::Refused);
        failure.to_string()
    }

    #[test]
    fn a_file_becomes_settings_and_a_mask_of_exactly_its_keys() {
        let text = "server_type = \"exchange_server_hybrid\"\nname = \"Contoso\"\nautodiscover = false\n\
                    incoming_location = \"https://mail.contoso.example/EWS/Exchange.asmx\"\nincoming_port = 8_443\n\
                    process_email_from = 2026-11-01\nmove_failed_emails = true\ntrust_anchors = ['''PEM''']\n";
        let (settings, mask) = profile(text).unwrap().into_update().unwrap();
        assert_eq!(settings.server_type(), ServerType::ExchangeServerHybrid);
        assert_eq!((settings.autodiscover, settings.incoming_port), (Some(false), Some(8443)));
        assert_eq!(settings.process_email_from.unwrap().seconds, 1_793_491_200);
        assert_eq!((settings.move_failed_emails, settings.trust_anchors), (true, vec!["PEM".to_owned()]));
        assert_eq!(mask.paths.len(), 8);
        assert_eq!(mask.paths[..2], ["server_type", "name"]);
    }

    #[test]
    fn flags_override_the_file_and_join_the_mask() {
        let mut changes = profile("name = \"Contoso\"\n").unwrap();
        changes.set_if("name", Some("Fabrikam"), |settings, name| settings.name = name.to_owned());
        changes.set_if("move_failed_emails", Some(true), |settings, on| settings.move_failed_emails = on);
        changes.set_if("send_alert_email", None, |settings, on| settings.send_alert_email = on);
        let (settings, mask) = changes.into_update().unwrap();
        assert_eq!(
            (settings.name.as_str(), mask.paths),
            ("Fabrikam", vec!["name".to_owned(), "move_failed_emails".to_owned()])
        );
    }

    #[test]
    fn an_empty_text_takes_a_field_back_to_its_default() {
        let text = "process_email_from = \"\"\nincoming_port = \"\"\ndescription = \"\"\ntrust_anchors = []\n";
        let (settings, mask) = profile(text).unwrap().into_update().unwrap();
        assert_eq!(settings, ProfileSettings::default());
        assert_eq!(mask.paths.len(), 4);
    }

    #[test]
    fn unknown_keys_are_refused_with_name_and_line() {
        let text = refusal("name = \"x\"\n\n# a comment\nowner_adress = \"a@b.example\"\n");
        assert!(text.starts_with("profile.toml, line 4: owner_adress: is no setting"), "{text}");
        assert!(text.contains("send_alert_email") && !text.contains("password"), "{text}");
        assert!(refusal("[profile]\nname = \"x\"\n").contains("line 1: profile"));
    }

    #[test]
    fn a_password_is_refused_with_the_way_to_give_it() {
        let text = refusal("name = \"x\"\npassword = \"hunter2\"\n");
        assert!(text.starts_with("profile.toml, line 2: password: ") && text.contains("--password-file"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn wrong_values_are_refused_with_what_is_expected() {
        for (text, part) in [
            ("autodiscover = \"maybe\"", "line 1: autodiscover: is a text instead of true or false"),
            ("incoming_port = 5_000_000_000", "incoming_port: 5000000000 is not between 0 and 4294967295"),
            ("incoming_port = -1", "is not between"),
            ("name = 7", "name: is a whole number instead of a text"),
            ("server_type = \"pop3\"", "`pop3` is not one of exchange_server_hybrid, exchange_server, exchange_online"),
            ("process_email_from = 2026-11-01T00:00:00", "is neither a time with its offset"),
            ("trust_anchors = [1]", "a list of texts"),
            ("name = ", "profile.toml, line 1"),
        ] {
            let found = refusal(text);
            assert!(found.contains(part), "{text}: {found}");
        }
    }

    #[test]
    fn nothing_to_change_is_refused() {
        assert!(profile("").unwrap().into_update().unwrap_err().to_string().contains("-f FILE"));
        assert_eq!(Changes::<ProfileSettings>::none().into_settings(), ProfileSettings::default());
    }

    #[test]
    fn a_missing_file_is_named() {
        let failure = Changes::<ProfileSettings>::from_file(Some(Path::new("no/such.toml"))).unwrap_err();
        assert!(failure.to_string().starts_with("no/such.toml: cannot be read"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let settings = MailboxSettings {
            email_address: "ada@contoso.example".into(),
            incoming_method: SynchronizationMethod::ServerSideSync.into(),
            process_email_from: Some(prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 }),
            delete_after_processing: true,
            ..Default::default()
        };
        let text = toml::to_string(&Written::new(&settings, Extent::Set).unwrap()).unwrap();
        assert_eq!(Changes::<MailboxSettings>::parse("m.toml", &text).unwrap().into_settings(), settings);
    }
}
