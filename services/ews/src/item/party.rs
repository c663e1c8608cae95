//! Senders and recipients (MS-OXWSCDATA, EmailAddressType).

use crate::xml::{Reader, Writer, XmlError};

/// Somebody who sends or receives. Any part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Party {
    /// The display name.
    pub name: Option<String>,
    /// The address, in the form that `routing` tells.
    pub address: Option<String>,
    /// `SMTP`, or `EX` for an address inside the organisation in X.500 form; absent means SMTP.
    pub routing: Option<String>,
}

impl Party {
    /// The address, if it is an SMTP address.
    #[must_use]
    pub fn smtp(&self) -> Option<&str> {
        let is_smtp = self.routing.as_deref().is_none_or(|routing| routing.eq_ignore_ascii_case("smtp"));
        self.address.as_deref().filter(|address| is_smtp && address.contains('@'))
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.element("t:Mailbox", &[], |writer| {
            if let Some(name) = self.name.as_deref().filter(|name| !name.is_empty()) {
                writer.text("t:Name", name);
            }
            if let Some(address) = &self.address {
                writer.text("t:EmailAddress", address);
            }
        });
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, XmlError> {
        let mut party = Self::default();
        reader.children(|reader, child| {
            match child.name() {
                "Name" => party.name = reader.string()?,
                "EmailAddress" => party.address = reader.string()?.filter(|address| !address.is_empty()),
                "RoutingType" => party.routing = reader.string()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(party)
    }

    pub(super) fn read_one(reader: &mut Reader<'_>) -> Result<Option<Self>, XmlError> {
        let mut parties = Vec::new();
        Self::read_list(reader, &mut parties)?;
        Ok(parties.pop())
    }

    pub(super) fn read_list(reader: &mut Reader<'_>, parties: &mut Vec<Self>) -> Result<(), XmlError> {
        reader.children(|reader, child| {
            if child.name() == "Mailbox" {
                parties.push(Self::read(reader)?);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_smtp_addresses_count_as_such() {
        let party = |address: &str, routing: Option<&str>| Party {
            name: None,
            address: Some(address.to_owned()),
            routing: routing.map(str::to_owned),
        };
        assert_eq!(party("ana@fabrikam.example", None).smtp(), Some("ana@fabrikam.example"));
        assert_eq!(party("ana@fabrikam.example", Some("smtp")).smtp(), Some("ana@fabrikam.example"));
        assert_eq!(party("/O=CONTOSO/CN=OLDUSER", Some("EX")).smtp(), None);
        assert_eq!(Party::default().smtp(), None);
    }
}
