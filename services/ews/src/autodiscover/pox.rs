//! The POX service (MS-OXDSCLI; AUTODISCOVER of the reference pack, 2 and 4.2).

use super::{Outcome, Settings};
use crate::xml::{Namespace, Reader, Writer, XmlError};

// The https spelling of today's web documentation is wrong: a real server answers it with error 600.
const REQUEST: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006";
const ACCEPTABLE: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

/// The question about one address.
pub fn request(address: &str) -> String {
    let mut writer = Writer::document();
    writer.element("Autodiscover", &[("xmlns", REQUEST)], |writer| {
        writer.element("Request", &[], |writer| {
            writer.text("EMailAddress", address.trim());
            writer.text("AcceptableResponseSchema", ACCEPTABLE);
        });
    });
    writer.finish()
}

#[derive(Default)]
struct Account {
    action: String,
    address: Option<String>,
    url: Option<String>,
    settings: Settings,
}

#[derive(Default)]
struct Protocol {
    kind: String,
    ews: Option<String>,
    availability: Option<String>,
    partner: Option<String>,
    grouping: Option<String>,
}

#[derive(Default)]
struct Refusal {
    code: String,
    message: String,
}

/// Reads the answer.
pub fn read(text: &str) -> Result<Outcome, XmlError> {
    let mut reader = Reader::new(text);
    let root = reader.root()?;
    if root.key() != (Namespace::Pox, "Autodiscover") {
        return Err(XmlError::Unexpected(format!("its root is {}", root.name())));
    }
    let mut account = None;
    let mut refusal = None;
    reader.children(|reader, response| {
        if response.name() != "Response" {
            return Ok(());
        }
        reader.children(|reader, element| {
            match element.name() {
                "Account" => account = Some(read_account(reader)?),
                "Error" => refusal = Some(read_error(reader)?),
                _ => {}
            }
            Ok(())
        })
    })?;
    match (account, refusal) {
        (_, Some(refusal)) => Ok(refused(refusal)),
        (Some(account), None) => Ok(outcome(account)),
        (None, None) => Err(XmlError::Unexpected("a response with neither account nor error".to_owned())),
    }
}

fn read_account(reader: &mut Reader<'_>) -> Result<Account, XmlError> {
    let mut account = Account::default();
    reader.children(|reader, element| {
        match element.name() {
            "Action" => account.action = reader.text()?.trim().to_ascii_lowercase(),
            "RedirectAddr" => account.address = filled(reader)?,
            "RedirectUrl" => account.url = filled(reader)?,
            "Protocol" => read_protocol(reader)?.tell(&mut account.settings),
            _ => {}
        }
        Ok(())
    })?;
    Ok(account)
}

fn read_protocol(reader: &mut Reader<'_>) -> Result<Protocol, XmlError> {
    let mut protocol = Protocol::default();
    reader.children(|reader, element| {
        match element.name() {
            "Type" => protocol.kind = reader.text()?.trim().to_ascii_uppercase(),
            "EwsUrl" => protocol.ews = filled(reader)?,
            "ASUrl" => protocol.availability = filled(reader)?,
            "GroupingInformation" => protocol.grouping = filled(reader)?,
            "EwsPartnerUrl" => protocol.partner = filled(reader)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(protocol)
}

fn read_error(reader: &mut Reader<'_>) -> Result<Refusal, XmlError> {
    let mut refusal = Refusal::default();
    reader.children(|reader, element| {
        match element.name() {
            "ErrorCode" => refusal.code = reader.text()?.trim().to_owned(),
            "Message" => refusal.message = reader.text()?.trim().to_owned(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(refusal)
}

fn filled(reader: &mut Reader<'_>) -> Result<Option<String>, XmlError> {
    Ok(Some(reader.text()?.trim().to_owned()).filter(|text| !text.is_empty()))
}

impl Protocol {
    /// Old servers have no `EwsUrl`; the availability URL is the same there.
    fn tell(self, settings: &mut Settings) {
        let url = self.ews.or(self.availability);
        match self.kind.as_str() {
            "EXPR" => {
                settings.external = url.or_else(|| settings.external.take());
                settings.grouping = self.grouping.or_else(|| settings.grouping.take());
                settings.partner = self.partner.or_else(|| settings.partner.take());
            }
            "EXCH" => settings.internal = url.or_else(|| settings.internal.take()),
            _ => {}
        }
    }
}

fn outcome(account: Account) -> Outcome {
    match (account.action.as_str(), account.address, account.url) {
        ("redirectaddr", Some(address), _) => Outcome::RedirectAddress(address),
        ("redirecturl", _, Some(url)) => Outcome::RedirectUrl(url),
        ("settings" | "", ..) => Outcome::Settings(account.settings),
        (action, ..) => Outcome::Failed {
            code: action.to_owned(),
            message: "an action without its target, or an unknown one".to_owned(),
            transient: false,
        },
    }
}

fn refused(refusal: Refusal) -> Outcome {
    match refusal.code.as_str() {
        "500" | "501" => Outcome::UserUnknown(refusal.message),
        "600" | "601" => Outcome::Failed { code: refusal.code, message: refusal.message, transient: false },
        _ => Outcome::Failed { code: refusal.code, message: refusal.message, transient: true },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::reference;

    #[rstest]
    #[case("301-pox-settings.resp.xml", Some("https://mail.contoso.example/EWS/Exchange.asmx"))]
    #[case("307-pox-no-ews.resp.xml", None)]
    fn reads_settings(#[case] sample: &str, #[case] location: Option<&str>) {
        let Some(text) = reference::sample(sample) else { return };
        let Outcome::Settings(settings) = read(&text).unwrap() else { panic!("no settings") };
        assert_eq!(settings.location(false), location);
    }

    #[test]
    fn an_old_server_has_only_the_availability_url() {
        let Some(text) = reference::sample("308-pox-asurl-only.resp.xml") else { return };
        let Outcome::Settings(settings) = read(&text).unwrap() else { panic!("no settings") };
        assert!(settings.external.or(settings.internal).is_some());
    }

    #[test]
    fn reads_redirects_and_refusals() {
        let Some(text) = reference::sample("303-pox-redirecturl.resp.xml") else { return };
        assert!(matches!(read(&text).unwrap(), Outcome::RedirectUrl(url) if url.starts_with("https://")));
        let Some(text) = reference::sample("306-pox-error-500.resp.xml") else { return };
        assert!(matches!(read(&text).unwrap(), Outcome::UserUnknown(_)));
        let Some(text) = reference::sample("305-pox-error-600.resp.xml") else { return };
        assert!(matches!(read(&text).unwrap(), Outcome::Failed { transient: false, .. }));
    }

    #[test]
    fn asks_as_the_sample_asks() {
        let Some(sample) = reference::text("samples/300-pox.req.xml") else { return };
        let spaceless = |text: &str| text.replace(['\r', '\n'], "");
        assert_eq!(spaceless(&request("user1@contoso.example")), spaceless(&sample));
    }
}
