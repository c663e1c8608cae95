//! ConvertId: the cheapest request that needs credentials and no mailbox (MS-OXWSCVTID).

use crate::{
    Operation, ResponseError,
    response::{self, ItemError, ReadError},
    xml::{Element, Namespace, Reader, Writer},
};

/// Converts an id of EWS into one of MAPI. With an id that is none it is a probe: any well-formed answer proves location,
/// credentials and version.
#[derive(Clone, Debug)]
pub struct ConvertId {
    /// The id.
    pub id: String,
    /// An address of the mailbox that the id is of. It need not exist for a probe.
    pub mailbox: String,
}

/// What became of the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Converted {
    /// The id in the other form.
    Id(String),
    /// The answer is an error about the id, which to a probe is as good.
    Refused(ResponseError),
}

impl ConvertId {
    /// A probe.
    #[must_use]
    pub fn probe(mailbox: impl Into<String>) -> Self {
        Self { id: "DUMMY".to_owned(), mailbox: mailbox.into() }
    }
}

impl Operation for ConvertId {
    const NAME: &'static str = "ConvertId";
    type Response = Converted;

    fn write(&self, writer: &mut Writer) {
        writer.element("m:ConvertId", &[("DestinationFormat", "EntryId")], |writer| {
            writer.element("m:SourceIds", &[], |writer| {
                let attributes = [("Format", "EwsId"), ("Id", self.id.as_str()), ("Mailbox", self.mailbox.as_str())];
                writer.empty("t:AlternateId", &attributes);
            });
        });
    }

    /// Errors that concern more than the id, such as throttling, stay errors.
    fn read(&self, reader: &mut Reader<'_>, response: &Element<'_>) -> Result<Converted, ReadError> {
        let answers = response::messages(reader, response, Self::NAME, |id: &mut Option<String>, _, part| {
            if part.key() == (Namespace::Messages, "AlternateId") {
                *id = part.attribute("Id")?;
            }
            Ok(())
        })?;
        let id = |id: Option<String>| id.ok_or(ItemError::Missing);
        match response::single(answers.into_iter().map(|answer| answer.and_then(id)).collect()) {
            Ok(id) => Ok(Converted::Id(id)),
            Err(ReadError::Response(error)) if !error.class().stops_batch() => Ok(Converted::Refused(error)),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Known, operation::answer, reference};

    #[test]
    fn a_malformed_id_answers_the_probe() {
        let Some(text) = reference::sample("137-convertid-probe.resp.xml") else { return };
        let answer = answer(&ConvertId::probe("user1@contoso.example"), &text).unwrap().unwrap();
        assert!(matches!(answer, Converted::Refused(error) if error.code == Known::ErrorInvalidIdMalformed));
    }
}
