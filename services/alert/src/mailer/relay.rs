//! An SMTP relay. The transaction is driven step by step, because it matters where it fails: until the end of the content
//! was sent a relay cannot have accepted it (RFC 5321 §4.1.1.4), after that only its answer tells.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use postroad_rig::{
    Error,
    config::{Smtp, SmtpTls},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Mailer, Undelivered};
use crate::mail::Mail;

/// How long the relay may take to say goodbye; the mail is accepted by then.
const GOODBYE: Duration = Duration::from_secs(2);

/// Characters of a relay's answer that are kept.
const ANSWER: usize = 300;

/// A relay.
pub struct Relay {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<(String, SecretString)>,
    from: Address,
    limit: Duration,
}

enum Encryption {
    Implicit(TlsParameters),
    Starttls(TlsParameters),
    None,
}

/// Where a transaction failed, and why.
struct Broken {
    step: &'static str,
    error: lettre::transport::smtp::Error,
}

impl Relay {
    /// A relay as configured. Reads the password and the trust anchors; connects only when there is mail.
    pub fn open(smtp: &Smtp) -> Result<Self, Error> {
        let host = smtp.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let encryption = match smtp.tls {
            SmtpTls::Implicit => Encryption::Implicit(tls(smtp, &host)?),
            SmtpTls::Starttls => Encryption::Starttls(tls(smtp, &host)?),
            SmtpTls::None => Encryption::None,
        };
        let credentials = match (&smtp.user_name, &smtp.password_file) {
            (Some(user_name), Some(file)) => {
                let password = String::from_utf8(read("password_file", file)?)
                    .map_err(|_| wrong("password_file", format!("`{}` is not UTF-8", file.display())))?;
                Some((user_name.clone(), SecretString::from(password.trim_end_matches(['\r', '\n']))))
            }
            _ => None,
        };
        let from = smtp.from.trim().parse().map_err(|error| wrong("from", format!("`{}`: {error}", smtp.from)))?;
        Ok(Self { host, port: smtp.port, encryption, credentials, from, limit: Duration::from_millis(smtp.timeout_ms) })
    }

    fn message(&self, mail: &Mail) -> Result<(Address, Message), Undelivered> {
        let unfit = |why: String| Undelivered::not_accepted(format!("the mail cannot be written: {why}"));
        let recipient = mail.recipient.parse::<Address>();
        let recipient =
            recipient.map_err(|error| unfit(format!("the owner's address `{}`: {error}", mail.recipient)))?;
        let name = (!mail.recipient_name.is_empty()).then(|| mail.recipient_name.clone());
        let message = Message::builder()
            .message_id(Some(format!("<{}@{}>", mail.key, self.from.domain())))
            .date(SystemTime::from(mail.date))
            .from(Mailbox::new(Some("Postroad".to_owned()), self.from.clone()))
            .to(Mailbox::new(name, recipient.clone()))
            .subject(mail.subject.clone())
            // So that no vacation notice answers (RFC 3834).
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| unfit(error.to_string()))?;
        Ok((recipient, message))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Broken> {
        let hello = ClientId::Domain(self.from.domain().to_owned());
        let implicit = match &self.encryption {
            Encryption::Implicit(tls) => Some(tls.clone()),
            Encryption::Starttls(_) | Encryption::None => None,
        };
        let address = (self.host.as_str(), self.port);
        let connection = AsyncSmtpConnection::connect_tokio1(address, Some(self.limit), &hello, implicit, None).await;
        let mut connection = connection.map_err(at("connecting"))?;
        if let Encryption::Starttls(tls) = &self.encryption {
            connection.starttls(tls.clone(), &hello).await.map_err(at("STARTTLS"))?;
        }
        if let Some((user_name, password)) = &self.credentials {
            let credentials = Credentials::new(user_name.clone(), password.expose_secret().to_owned());
            connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await.map_err(at("AUTH"))?;
        }
        Ok(connection)
    }

    /// Hands over a message; `is_complete` becomes true right before the end of the content is sent.
    async fn hand_over(
        &self,
        to: Address,
        content: &[u8],
        is_complete: &AtomicBool,
    ) -> Result<AsyncSmtpConnection, Broken> {
        let mut connection = self.connect().await?;
        let needs = !AsRef::<str>::as_ref(&to).is_ascii() || !AsRef::<str>::as_ref(&self.from).is_ascii();
        let offered = connection.server_info().supports_feature(Extension::SmtpUtfEight);
        // Where a relay does not offer it, its own refusal of the address says so.
        let parameters = if needs && offered { vec![MailParameter::SmtpUtfEight] } else { Vec::new() };
        connection.command(MailFrom::new(Some(self.from.clone()), parameters)).await.map_err(at("MAIL"))?;
        connection.command(Rcpt::new(to, Vec::new())).await.map_err(at("RCPT"))?;
        connection.command(Data).await.map_err(at("DATA"))?;
        let end = std::iter::from_fn(|| {
            is_complete.store(true, Ordering::SeqCst);
            None
        });
        connection.message_iter(std::iter::once(content).chain(end)).await.map_err(at("the content"))?;
        Ok(connection)
    }
}

#[async_trait]
impl Mailer for Relay {
    fn can_send(&self) -> bool {
        true
    }

    fn limit(&self) -> Duration {
        self.limit.saturating_add(GOODBYE)
    }

    async fn send(&self, mail: &Mail) -> Result<(), Undelivered> {
        let (recipient, message) = self.message(mail)?;
        let content = message.formatted();
        let complete = AtomicBool::new(false);
        let transaction = Box::pin(self.hand_over(recipient, &content, &complete));
        let outcome = tokio::time::timeout(self.limit, transaction).await;
        let is_complete = complete.load(Ordering::SeqCst);
        let (detail, is_refusal) = match outcome {
            Ok(Ok(mut connection)) => {
                drop(tokio::time::timeout(GOODBYE, connection.quit()).await);
                return Ok(());
            }
            Ok(Err(Broken { step, error })) => (format!("{step}: {}", answer(&error)), error.status().is_some()),
            Err(_) => (format!("no answer within {} ms", self.limit.as_millis()), false),
        };
        let detail = format!("{}:{}, {detail}", self.host, self.port);
        Err(if is_complete && !is_refusal { Undelivered::Unknown(detail) } else { Undelivered::not_accepted(detail) })
    }
}

fn at(step: &'static str) -> impl FnOnce(lettre::transport::smtp::Error) -> Broken {
    move |error| Broken { step, error }
}

/// What a relay said, on one line and not too long.
fn answer(error: &lettre::transport::smtp::Error) -> String {
    error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(ANSWER).collect()
}

fn tls(smtp: &Smtp, host: &str) -> Result<TlsParameters, Error> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(file) = &smtp.trust_anchors_file {
        let pem = read("trust_anchors_file", file)?;
        let none = || wrong("trust_anchors_file", format!("`{}` holds no certificate (PEM)", file.display()));
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err(none());
        }
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(|_| none())?);
    }
    parameters.build().map_err(|error| wrong("host", format!("`{host}`: {error}")))
}

fn read(setting: &str, file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|error| wrong(setting, format!("`{}` cannot be read: {error}", file.display())))
}

fn wrong(setting: &str, rule: String) -> Error {
    Error::Configuration(format!("alert.smtp.{setting}: {rule}"))
}
