//! The SOAP service: GetUserSettings (MS-OXWSADISC; AUTODISCOVER of the reference pack, 2 and 4.1).

use super::{Outcome, Settings};
use crate::xml::{Namespace, Reader, Writer, XmlError};

const ACTION: &str = "http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/GetUserSettings";
/// The action as the header `SOAPAction` has it.
pub const ACTION_HEADER: &str =
    "\"http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/GetUserSettings\"";
const NAMESPACES: [(&str, &str); 4] = [
    ("xmlns:soap", "http://schemas.xmlsoap.org/soap/envelope/"),
    ("xmlns:a", "http://schemas.microsoft.com/exchange/2010/Autodiscover"),
    ("xmlns:wsa", "http://www.w3.org/2005/08/addressing"),
    ("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"),
];
const WANTED: [&str; 5] =
    ["ExternalEwsUrl", "InternalEwsUrl", "EwsPartnerUrl", "EwsSupportedSchemas", "GroupingInformation"];

/// The question about one address.
pub fn request(url: &str, address: &str) -> String {
    let mut writer = Writer::document();
    writer.element("soap:Envelope", &NAMESPACES, |writer| {
        writer.element("soap:Header", &[], |writer| {
            writer.text("a:RequestedServerVersion", "Exchange2010");
            writer.text("wsa:Action", ACTION);
            writer.text("wsa:To", url);
        });
        writer.element("soap:Body", &[], |writer| {
            writer.element("a:GetUserSettingsRequestMessage", &[], |writer| {
                writer.element("a:Request", &[], |writer| {
                    writer.element("a:Users", &[], |writer| {
                        writer.element("a:User", &[], |writer| writer.text("a:Mailbox", address.trim()));
                    });
                    writer.element("a:RequestedSettings", &[], |writer| {
                        WANTED.iter().for_each(|name| writer.text("a:Setting", name));
                    });
                });
            });
        });
    });
    writer.finish()
}

/// The parts of an answer, whichever level they stand on.
#[derive(Default)]
struct Answer {
    code: String,
    message: String,
    user: Option<User>,
}

#[derive(Default)]
struct User {
    code: String,
    message: String,
    target: Option<String>,
    settings: Settings,
}

/// Reads the answer about one address.
pub fn read(text: &str) -> Result<Outcome, XmlError> {
    let mut reader = Reader::new(text);
    let root = reader.root()?;
    if root.key() != (Namespace::Soap, "Envelope") {
        return Err(XmlError::Unexpected(format!("its root is {}", root.name())));
    }
    let mut answer = None;
    let mut fault = None;
    reader.children(|reader, part| {
        if part.key() != (Namespace::Soap, "Body") {
            return Ok(());
        }
        reader.children(|reader, element| {
            match element.key() {
                (Namespace::Soap, "Fault") => fault = Some(read_fault(reader)?),
                (Namespace::Autodiscover, "GetUserSettingsResponseMessage") => {
                    reader.children(|reader, response| {
                        if response.name() == "Response" {
                            answer = Some(read_response(reader)?);
                        }
                        Ok(())
                    })?;
                }
                _ => {}
            }
            Ok(())
        })
    })?;
    if let Some(message) = fault {
        return Ok(Outcome::Failed { code: "Fault".to_owned(), message, transient: true });
    }
    let answer: Answer =
        answer.ok_or_else(|| XmlError::Unexpected("a body without GetUserSettingsResponseMessage".to_owned()))?;
    Ok(outcome(answer))
}

fn read_fault(reader: &mut Reader<'_>) -> Result<String, XmlError> {
    let mut text = String::new();
    reader.children(|reader, element| {
        if element.name() == "faultstring" {
            text = reader.text()?.trim().to_owned();
        }
        Ok(())
    })?;
    Ok(text)
}

fn read_response(reader: &mut Reader<'_>) -> Result<Answer, XmlError> {
    let mut answer = Answer::default();
    reader.children(|reader, element| {
        match element.name() {
            "ErrorCode" => answer.code = reader.text()?.trim().to_owned(),
            "ErrorMessage" => answer.message = reader.text()?.trim().to_owned(),
            "UserResponses" => reader.children(|reader, user| {
                if user.name() == "UserResponse" && answer.user.is_none() {
                    answer.user = Some(read_user(reader)?);
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(answer)
}

fn read_user(reader: &mut Reader<'_>) -> Result<User, XmlError> {
    let mut user = User::default();
    reader.children(|reader, element| {
        match element.name() {
            "ErrorCode" => user.code = reader.text()?.trim().to_owned(),
            "ErrorMessage" => user.message = reader.text()?.trim().to_owned(),
            "RedirectTarget" if !element.is_nil() => {
                user.target = Some(reader.text()?.trim().to_owned()).filter(|target| !target.is_empty());
            }
            "UserSettings" => reader.children(|reader, _| read_setting(reader, &mut user.settings))?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(user)
}

fn read_setting(reader: &mut Reader<'_>, settings: &mut Settings) -> Result<(), XmlError> {
    let mut name = String::new();
    let mut value = None;
    reader.children(|reader, element| {
        match element.name() {
            "Name" => name = reader.text()?.trim().to_owned(),
            "Value" if !element.is_nil() => value = Some(reader.text()?.trim().to_owned()),
            _ => {}
        }
        Ok(())
    })?;
    let value = value.filter(|value| !value.is_empty());
    match name.as_str() {
        "ExternalEwsUrl" => settings.external = value,
        "InternalEwsUrl" => settings.internal = value,
        "EwsPartnerUrl" => settings.partner = value,
        "EwsSupportedSchemas" => settings.schemas = value,
        "GroupingInformation" => settings.grouping = value,
        _ => {}
    }
    Ok(())
}

fn outcome(answer: Answer) -> Outcome {
    if answer.code != "NoError" {
        return failed(answer.code, answer.message);
    }
    // A throttled server leaves users out.
    let Some(user) = answer.user else {
        return failed("ServerBusy".to_owned(), "no answer for the address".to_owned());
    };
    match (user.code.as_str(), user.target) {
        ("NoError", _) => Outcome::Settings(user.settings),
        ("RedirectAddress", Some(target)) => Outcome::RedirectAddress(target),
        ("RedirectUrl", Some(target)) => Outcome::RedirectUrl(target),
        ("InvalidUser" | "InvalidDomain", _) => Outcome::UserUnknown(user.message),
        _ => failed(user.code, user.message),
    }
}

fn failed(code: String, message: String) -> Outcome {
    let transient = !matches!(code.as_str(), "InvalidRequest" | "InvalidSetting" | "NotFederated");
    Outcome::Failed { code, message, transient }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    #[test]
    fn reads_settings() {
        let Some(text) = reference::sample("311-soap-settings.resp.xml") else { return };
        let Outcome::Settings(settings) = read(&text).unwrap() else { panic!("no settings") };
        assert_eq!(settings.location(false), Some("https://mail.contoso.example/EWS/Exchange.asmx"));
        assert_eq!(settings.internal.as_deref(), Some("https://mail.int.contoso.example/EWS/Exchange.asmx"));
    }

    #[test]
    fn an_internal_location_alone_is_none() {
        let Some(text) = reference::sample("314-soap-setting-missing.resp.xml") else { return };
        let Outcome::Settings(settings) = read(&text).unwrap() else { panic!("no settings") };
        assert_eq!(settings.location(false), None);
    }

    #[test]
    fn reads_redirects_and_refusals() {
        let Some(text) = reference::sample("312-soap-redirecturl.resp.xml") else { return };
        assert!(matches!(read(&text).unwrap(), Outcome::RedirectUrl(url) if url.contains("emea")));
        let Some(text) = reference::sample("313-soap-invaliduser.resp.xml") else { return };
        assert!(matches!(read(&text).unwrap(), Outcome::UserUnknown(message) if message.contains("ghost")));
        let Some(text) = reference::sample("315-soap-serverbusy.resp.xml") else { return };
        assert!(matches!(read(&text).unwrap(), Outcome::Failed { transient: true, code, .. } if code == "ServerBusy"));
    }

    #[test]
    fn asks_as_the_sample_asks() {
        let Some(sample) = reference::text("samples/310-soap-getusersettings.req.xml") else { return };
        let request =
            request("https://autodiscover.contoso.example/autodiscover/autodiscover.svc", "user1@contoso.example");
        for part in [
            "<a:RequestedServerVersion>Exchange2010</a:RequestedServerVersion><wsa:Action>",
            ACTION,
            "<a:Users><a:User><a:Mailbox>",
        ] {
            assert!(sample.contains(part) && request.contains(part), "{part}");
        }
    }
}
