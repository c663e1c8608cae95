//! The mailer against a real mail relay: over STARTTLS, implicit TLS and none, and where a transaction may fail.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use postroad_alert::{
    mail::Mail,
    mailer::{Mailer as _, Relay, Undelivered},
};
use postroad_core::fault::Code;
use postroad_rig::config::{Smtp, SmtpTls};
use rstest::rstest;
use stage::smtp::{self, Behaviour, Security};

struct Stage {
    relay: smtp::Relay,
    folder: tempfile::TempDir,
    tls: SmtpTls,
}

impl Stage {
    async fn start(security: Security) -> Self {
        let relay = smtp::Relay::start(security).await.unwrap();
        let tls = match security {
            Security::Implicit => SmtpTls::Implicit,
            Security::Starttls => SmtpTls::Starttls,
            Security::Plain => SmtpTls::None,
        };
        Self { relay, folder: tempfile::tempdir().unwrap(), tls }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn smtp(&self) -> Smtp {
        Smtp {
            host: "localhost".into(),
            port: self.relay.port(),
            tls: self.tls,
            from: "postroad@contoso.example".into(),
            user_name: None,
            password_file: None,
            trust_anchors_file: Some(self.file("relay.pem", self.relay.certificate())),
            timeout_ms: 20_000,
        }
    }

    fn with_password(&self, password: &str) -> Smtp {
        let password_file = Some(self.file("password", &format!("{password}\n")));
        Smtp { user_name: Some("postroad".into()), password_file, ..self.smtp() }
    }
}

fn mail() -> Mail {
    Mail {
        key: "postroad.1.500000".into(),
        date: Timestamp::from_second(1_800_000_000).unwrap(),
        recipient_name: "Ada König".into(),
        recipient: "ada@contoso.example".into(),
        subject: "Postroad: 10 of 15 mailboxes of the profile \"Größe\" failed".into(),
        text: "More than half failed.\n.\n..a line that begins with dots\nGröße\n".into(),
    }
}

async fn send(smtp: &Smtp) -> Result<(), Undelivered> {
    Relay::open(smtp).unwrap().send(&mail()).await
}

/// The detail of a mail that was certainly not accepted.
fn not_accepted(outcome: Result<(), Undelivered>) -> String {
    match outcome {
        Err(Undelivered::NotAccepted(report)) => {
            assert_eq!(report.code, Code::NotificationFailed);
            report.detail
        }
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case(Security::Starttls)]
#[case(Security::Implicit)]
#[case(Security::Plain)]
#[tokio::test]
async fn a_mail_arrives_as_it_was_written(#[case] security: Security) {
    let stage = Stage::start(security).await;
    send(&stage.smtp()).await.unwrap();
    let mails = stage.relay.wait_for(1, Duration::from_secs(20)).await.unwrap();
    let received = &mails[0];
    assert_eq!(received.over_tls, security != Security::Plain);
    assert_eq!(
        (received.from.as_str(), received.to.as_slice()),
        ("postroad@contoso.example", &["ada@contoso.example".to_owned()][..])
    );
    let data = received.data.replace("\r\n", "\n");
    for header in [
        "Message-ID: <postroad.1.500000@contoso.example>\n",
        "Auto-Submitted: auto-generated\n",
        "Date: Fri, 15 Jan 2027 08:00:00 +0000\n",
        "Content-Type: text/plain; charset=utf-8\n",
    ] {
        assert!(data.contains(header), "{header} is not in\n{data}");
    }
    assert!(data.contains("\n.\n..a line that begins with dots\n"), "{data}");
}

#[tokio::test]
async fn the_password_is_given_only_over_tls_and_a_wrong_one_is_a_refusal() {
    let stage = Stage::start(Security::Starttls).await;
    let credentials = Some(("postroad".to_owned(), "right".to_owned()));
    stage.relay.behave(Behaviour { credentials, ..Behaviour::default() });
    send(&stage.with_password("right")).await.unwrap();
    let detail = not_accepted(send(&stage.with_password("wrong secret")).await);
    assert!(detail.contains("AUTH") && detail.contains("535") && !detail.contains("secret"), "{detail}");
    assert_eq!(stage.relay.mails().len(), 1);
}

#[tokio::test]
async fn a_refused_recipient_was_certainly_not_accepted() {
    let stage = Stage::start(Security::Starttls).await;
    stage.relay.behave(Behaviour { refuse: Some("451 4.3.0 try later".into()), ..Behaviour::default() });
    let detail = not_accepted(send(&stage.smtp()).await);
    assert!(detail.contains("RCPT") && detail.contains("try later"), "{detail}");
    stage.relay.behave(Behaviour::default());
    send(&stage.smtp()).await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_to_the_content_is_ambiguous() {
    let stage = Stage::start(Security::Starttls).await;
    stage.relay.behave(Behaviour { silent_after_data: true, ..Behaviour::default() });
    assert!(matches!(send(&stage.smtp()).await, Err(Undelivered::Unknown(_))));
    assert_eq!(stage.relay.mails().len(), 1, "the relay has it, and the mailer did not repeat it");
}

#[tokio::test]
async fn a_relay_that_is_away_or_not_trusted_gets_nothing() {
    let stage = Stage::start(Security::Starttls).await;
    let untrusted = Smtp { trust_anchors_file: None, ..stage.smtp() };
    let detail = not_accepted(send(&untrusted).await);
    assert!(detail.contains("STARTTLS"), "{detail}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let detail = not_accepted(send(&Smtp { port: nobody, ..stage.smtp() }).await);
    assert!(detail.contains(&format!("localhost:{nobody}")), "{detail}");
    assert!(stage.relay.mails().is_empty());
}

#[tokio::test]
async fn a_relay_without_starttls_gets_nothing() {
    let stage = Stage::start(Security::Plain).await;
    let detail = not_accepted(send(&Smtp { tls: SmtpTls::Starttls, ..stage.smtp() }).await);
    assert!(detail.contains("STARTTLS"), "{detail}");
    assert!(stage.relay.mails().is_empty());
}

#[tokio::test]
async fn a_relay_that_says_nothing_is_given_up_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stage = Stage::start(Security::Starttls).await;
    let smtp = Smtp { port: silent.local_addr().unwrap().port(), timeout_ms: 50, ..stage.smtp() };
    not_accepted(send(&smtp).await);
}

#[tokio::test]
async fn wrong_files_are_named_at_the_start() {
    let stage = Stage::start(Security::Starttls).await;
    let refused = |smtp: Smtp| Relay::open(&smtp).err().unwrap().to_string();
    let missing = Some(stage.folder.path().join("missing"));
    let error = refused(Smtp { trust_anchors_file: missing.clone(), ..stage.smtp() });
    assert!(error.starts_with("alert.smtp.trust_anchors_file: "), "{error}");
    let error = refused(Smtp { trust_anchors_file: Some(stage.file("no.pem", "no certificate")), ..stage.smtp() });
    assert!(error.contains("no.pem") && error.contains("PEM"), "{error}");
    let error = refused(Smtp { password_file: missing, ..stage.with_password("x") });
    assert!(error.starts_with("alert.smtp.password_file: "), "{error}");
}
