//! SOAP 1.1 envelopes: what goes around each operation (MS-OXWSCDATA, SOAP headers).

use std::time::Duration;

use crate::{
    Identity, RequestServerVersion, ResponseCode, ServerVersion,
    response::Details,
    xml::{Element, Namespace, Reader, Writer, XmlError},
};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";
const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";

/// A request refused as a whole: throttling, version, schema, impersonation, a missing mailbox, the wrong site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoapFault {
    /// What happened.
    pub code: ResponseCode,
    /// The server's words, localised; never to be branched on.
    pub message: String,
    /// Where in the request, if the server checked its schema.
    pub line: Option<u32>,
    /// The position in that line.
    pub position: Option<u32>,
    /// The schema's complaint.
    pub violation: Option<String>,
    /// What else the server told: back-off, inner code, properties.
    pub details: Box<Details>,
}

/// What the body of an envelope holds.
#[derive(Debug)]
pub(crate) enum Content<T> {
    Answer(T),
    Fault(SoapFault),
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Envelope<T> {
    pub server: Option<ServerVersion>,
    pub content: Content<T>,
}

/// Writes a request.
pub(crate) fn request(version: RequestServerVersion, identity: &Identity, body: impl FnOnce(&mut Writer)) -> String {
    let mut writer = Writer::document();
    let namespaces = [("xmlns:soap", SOAP), ("xmlns:m", MESSAGES), ("xmlns:t", TYPES)];
    writer.element("soap:Envelope", &namespaces, |writer| {
        writer.element("soap:Header", &[], |writer| {
            writer.empty("t:RequestServerVersion", &[("Version", version.as_str())]);
            impersonation(writer, identity);
        });
        writer.element("soap:Body", &[], body);
    });
    writer.finish()
}

fn impersonation(writer: &mut Writer, identity: &Identity) {
    let (name, address) = match identity {
        Identity::Own => return,
        Identity::PrimaryAddress(address) => ("t:PrimarySmtpAddress", address),
        Identity::AnyAddress(address) => ("t:SmtpAddress", address),
    };
    writer.element("t:ExchangeImpersonation", &[], |writer| {
        // The server does not trim the address.
        writer.element("t:ConnectingSID", &[], |writer| writer.text(name, address.trim()));
    });
}

/// Reads an answer; `read` gets the first element of the body that is no fault.
pub(crate) fn read<T, E: From<XmlError>>(
    text: &str,
    mut read: impl FnMut(&mut Reader<'_>, &Element<'_>) -> Result<T, E>,
) -> Result<Envelope<T>, E> {
    let mut reader = Reader::new(text);
    let root = reader.root()?;
    if root.key() != (Namespace::Soap, "Envelope") {
        return Err(XmlError::Unexpected(format!("its root is {}", root.name())).into());
    }
    let mut server = None;
    let mut content = None;
    let mut failure = None;
    let end = reader.children(|reader, part| match part.key() {
        (Namespace::Soap, "Header") => header(reader, &mut server),
        (Namespace::Soap, "Body") => reader.children(|reader, element| {
            if content.is_some() || failure.is_some() {
                return Ok(());
            }
            if element.key() == (Namespace::Soap, "Fault") {
                content = Some(Content::Fault(SoapFault::read(reader)?));
                return Ok(());
            }
            match read(reader, element) {
                Ok(answer) => content = Some(Content::Answer(answer)),
                Err(error) => failure = Some(error),
            }
            Ok(())
        }),
        _ => Ok(()),
    });
    // What stopped the operation's reader comes before what stops the rest.
    if let Some(error) = failure {
        return Err(error);
    }
    end?;
    let content = content.ok_or_else(|| XmlError::Unexpected("its body is empty".to_owned()))?;
    Ok(Envelope { server, content })
}

fn header(reader: &mut Reader<'_>, server: &mut Option<ServerVersion>) -> Result<(), XmlError> {
    reader.children(|_, element| {
        if element.key() == (Namespace::Types, "ServerVersionInfo") {
            *server = Some(ServerVersion::read(element)?);
        }
        Ok(())
    })
}

// === impl SoapFault ===

impl SoapFault {
    /// The code that tells what happened: the inner one where the outer one says nothing.
    #[must_use]
    pub fn effective_code(&self) -> &ResponseCode {
        self.details.effective(&self.code)
    }

    /// How long the server wants to be left alone. Zero does occur, and is no licence to hammer.
    #[must_use]
    pub fn back_off(&self) -> Option<Duration> {
        self.details.back_off
    }

    /// Reads `soap:Fault`. The detail may be missing, and its parts change their namespace between versions.
    fn read(reader: &mut Reader<'_>) -> Result<Self, XmlError> {
        let mut fault_code = None;
        let mut fault = Self {
            code: ResponseCode::read(""),
            message: String::new(),
            line: None,
            position: None,
            violation: None,
            details: Box::default(),
        };
        let mut code = None;
        reader.children(|reader, part| {
            match part.name() {
                "faultcode" => fault_code = Some(reader.text()?.into_owned()),
                "faultstring" => reader.text()?.trim().clone_into(&mut fault.message),
                "detail" => fault.read_detail(reader, &mut code)?,
                _ => {}
            }
            Ok(())
        })?;
        // A detail's numbers are not worth failing for.
        reader.take_defect();
        let qualified = fault_code.unwrap_or_default();
        let local = qualified.rsplit_once(':').map_or(qualified.as_str(), |(_, local)| local);
        fault.code = code.unwrap_or_else(|| ResponseCode::read(local));
        Ok(fault)
    }

    fn read_detail(&mut self, reader: &mut Reader<'_>, code: &mut Option<ResponseCode>) -> Result<(), XmlError> {
        reader.children(|reader, part| {
            match part.name() {
                "ResponseCode" => {
                    *code = Some(ResponseCode::read(&reader.text()?)).filter(|code| !code.as_str().is_empty())
                }
                "Message" if self.message.is_empty() => reader.text()?.trim().clone_into(&mut self.message),
                "Line" | "LineNumber" => self.line = reader.number(part)?,
                "Position" | "LinePosition" => self.position = reader.number(part)?,
                "Violation" => self.violation = reader.string()?,
                "MessageXml" => self.details.read(reader)?,
                _ => {}
            }
            Ok(())
        })?;
        let value =
            |name: &str| self.details.values.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        self.line = self.line.or_else(|| value("LineNumber")?.parse().ok());
        self.position = self.position.or_else(|| value("LinePosition")?.parse().ok());
        self.violation = self.violation.take().or_else(|| value("Violation"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{Class, Known, reference};

    fn fault(text: &str) -> SoapFault {
        match read(text, |_, element| Err::<(), _>(XmlError::Unexpected(element.name().to_owned()))).unwrap().content {
            Content::Fault(fault) => fault,
            Content::Answer(()) => panic!("no fault"),
        }
    }

    #[test]
    fn writes_version_and_impersonation() {
        let identity = Identity::PrimaryAddress(" user1@contoso.example ".to_owned());
        let request = request(RequestServerVersion::Exchange2010Sp2, &identity, |writer| writer.empty("m:X", &[]));
        assert!(
            request.contains(
                "<soap:Header><t:RequestServerVersion Version=\"Exchange2010_SP2\"/><t:ExchangeImpersonation>\
            <t:ConnectingSID><t:PrimarySmtpAddress>user1@contoso.example</t:PrimarySmtpAddress></t:ConnectingSID>\
            </t:ExchangeImpersonation></soap:Header><soap:Body><m:X/></soap:Body>"
            ),
            "{request}"
        );
    }

    #[rstest]
    #[case("150-fault-serverbusy-t.resp.xml", Known::ErrorServerBusy, Some(297_749))]
    #[case("151-fault-serverbusy-e.resp.xml", Known::ErrorServerBusy, Some(60_000))]
    #[case("158-fault-incorrect-schema-version.resp.xml", Known::ErrorIncorrectSchemaVersion, None)]
    #[case("159-fault-mailbox-version.resp.xml", Known::ErrorInvalidSchemaVersionForMailboxVersion, None)]
    #[case("160-fault-impersonate-denied.resp.xml", Known::ErrorImpersonateUserDenied, None)]
    #[case("161-fault-nonexistent-mailbox.resp.xml", Known::ErrorNonExistentMailbox, None)]
    #[case("162-fault-nonprimary.resp.xml", Known::ErrorNonPrimarySmtpAddress, None)]
    #[case("163-fault-impersonation-header.resp.xml", Known::ErrorInvalidExchangeImpersonationHeaderData, None)]
    #[case("164-fault-store-unavailable.resp.xml", Known::ErrorMailboxStoreUnavailable, None)]
    #[case("165-fault-move-in-progress.resp.xml", Known::ErrorMailboxMoveInProgress, Some(0))]
    #[case("166-fault-no-cas.resp.xml", Known::ErrorNoRespondingCASInDestinationSite, None)]
    fn reads_the_faults_of_all_versions(#[case] name: &str, #[case] code: Known, #[case] back_off: Option<u64>) {
        let Some(text) = reference::sample(name) else { return };
        let fault = fault(&text);
        assert_eq!(fault.code, code);
        assert_eq!(fault.back_off(), back_off.map(Duration::from_millis));
        assert!(!fault.message.is_empty());
    }

    #[test]
    fn a_fault_without_detail_has_the_code_of_its_faultcode() {
        let Some(text) = reference::sample("167-fault-wcf-generic.resp.xml") else { return };
        let fault = fault(&text);
        assert_eq!((fault.code.as_str(), fault.code.class()), ("ActionNotSupported", Class::Unknown));
    }

    #[test]
    fn a_schema_violation_names_its_place() {
        let text = format!(
            "<s:Envelope xmlns:s='{SOAP}'><s:Body><s:Fault><faultcode>a:ErrorSchemaValidation</faultcode><faultstring>x</faultstring>\
             <detail><ResponseCode> ErrorSchemaValidation </ResponseCode><MessageXml xmlns:t='{TYPES}'><t:Value Name='LineNumber'>4</t:Value>\
             <t:Value Name='LinePosition'>17</t:Value><t:Value Name='Violation'>bad</t:Value></MessageXml></detail></s:Fault></s:Body></s:Envelope>"
        );
        let fault = fault(&text);
        assert_eq!((fault.line, fault.position, fault.violation.as_deref()), (Some(4), Some(17), Some("bad")));
        assert_eq!(fault.code, Known::ErrorSchemaValidation);
    }

    #[test]
    fn tells_the_server() {
        let Some(text) = reference::sample("004-getfolder-odd-prefixes.resp.xml") else { return };
        let envelope = read(&text, |_, _| Ok::<_, XmlError>(())).unwrap();
        assert_eq!(envelope.server.unwrap().newest_request(), RequestServerVersion::Exchange2010Sp2);
    }

    #[rstest]
    #[case("<html><body/></html>")]
    #[case("<s:Envelope xmlns:s='urn:other'/>")]
    #[case("<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body/></s:Envelope>")]
    fn refuses_other_documents(#[case] text: &str) {
        let answer = read(text, |_, _| Ok::<_, XmlError>(()));
        assert!(matches!(answer, Err(XmlError::Unexpected(_))));
    }
}
