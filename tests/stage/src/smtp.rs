//! A small mail relay (RFC 5321) that keeps what it is given, over STARTTLS or implicit TLS.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::Engine as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::eventually;

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the start.
    Implicit,
    /// STARTTLS; mail is refused without it.
    Starttls,
    /// None.
    Plain,
}

/// What it does with mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// The reply to every RCPT instead of accepting it, such as `451 4.3.0 try later`.
    pub refuse: Option<String>,
    /// Closes the connection after the data, without a reply.
    pub silent_after_data: bool,
    /// The user name and password that it wants.
    pub credentials: Option<(String, String)>,
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Envelope sender.
    pub from: String,
    /// Envelope recipients.
    pub to: Vec<String>,
    /// The message.
    pub data: String,
    /// Whether it came over TLS.
    pub over_tls: bool,
}

impl Mail {
    /// The message as a person reads it: From, To, Subject, and the text.
    pub fn readable(&self) -> String {
        let Some(message) = mail_parser::MessageParser::default().parse(self.data.as_bytes()) else {
            return self.data.clone();
        };
        let header = |name: &str| message.header_raw(name).unwrap_or_default().trim().to_owned();
        let subject = message.subject().unwrap_or_default();
        let text = message.body_text(0).unwrap_or_default();
        format!("From: {}\nTo: {}\nSubject: {subject}\n\n{}", header("From"), header("To"), text.trim_end())
    }
}

#[derive(Default)]
struct Shared {
    mails: Mutex<Vec<Mail>>,
    behaviour: Mutex<Behaviour>,
}

/// A running relay; it ends when this is dropped.
pub struct Relay {
    address: SocketAddr,
    certificate: String,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay with a certificate for `localhost`.
    pub async fn start(security: Security) -> std::io::Result<Self> {
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
            .map_err(std::io::Error::other)?;
        let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der())
            .map_err(std::io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![signed.cert.der().clone()], key))
            .map_err(std::io::Error::other)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared::default());
        let ours = Arc::clone(&shared);
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                tokio::spawn(greet(stream, acceptor.clone(), security, Arc::clone(&ours)));
            }
        });
        Ok(Self { address, certificate: signed.cert.pem(), shared, listener })
    }

    /// Its port on `localhost`.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate to trust, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What it got so far.
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.shared.mails).clone()
    }

    /// Changes what it does.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// Waits until it has so many messages.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Option<Vec<Mail>> {
        eventually(deadline, || async { Some(self.mails()).filter(|mails| mails.len() >= count) }).await
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn greet(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    security: Security,
    shared: Arc<Shared>,
) -> std::io::Result<()> {
    match security {
        Security::Implicit => {
            let stream = acceptor.accept(stream).await?;
            Session::new(stream, shared, true, false).run(true).await.map(|_| ())
        }
        Security::Plain => Session::new(stream, shared, false, false).run(true).await.map(|_| ()),
        Security::Starttls => {
            let upgraded = Session::new(stream, Arc::clone(&shared), false, true).run(true).await?;
            let Some(stream) = upgraded else { return Ok(()) };
            Session::new(acceptor.accept(stream).await?, shared, true, false).run(false).await.map(|_| ())
        }
    }
}

struct Session<S> {
    stream: BufStream<S>,
    shared: Arc<Shared>,
    over_tls: bool,
    /// Offers STARTTLS and takes no mail before it.
    offers_tls: bool,
    authenticated: bool,
    from: String,
    to: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn new(stream: S, shared: Arc<Shared>, over_tls: bool, offers_tls: bool) -> Self {
        let stream = BufStream::new(stream);
        Self { stream, shared, over_tls, offers_tls, authenticated: false, from: String::new(), to: Vec::new() }
    }

    /// Speaks until QUIT; gives the stream back when the client wants TLS.
    async fn run(mut self, greets: bool) -> std::io::Result<Option<S>> {
        if greets {
            self.reply("220 localhost ESMTP").await?;
        }
        while let Some(line) = self.line().await? {
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" | "HELO" => self.hello().await?,
                "STARTTLS" if self.offers_tls => {
                    self.reply("220 ready").await?;
                    return Ok(Some(self.stream.into_inner()));
                }
                "QUIT" => {
                    self.reply("221 bye").await?;
                    return Ok(None);
                }
                "NOOP" => self.reply("250 ok").await?,
                "RSET" => {
                    self.to.clear();
                    self.reply("250 ok").await?;
                }
                _ if self.offers_tls => self.reply("530 5.7.0 STARTTLS first").await?,
                "AUTH" => self.authenticate(&line).await?,
                "MAIL" | "RCPT" | "DATA" if !self.may_send() => self.reply("530 5.7.0 authenticate first").await?,
                "MAIL" => {
                    self.from = path(&line);
                    self.reply("250 ok").await?;
                }
                "RCPT" => self.recipient(&line).await?,
                "DATA" if self.to.is_empty() => self.reply("503 5.5.1 RCPT first").await?,
                "DATA" => {
                    if !self.data().await? {
                        return Ok(None);
                    }
                }
                _ => self.reply("502 5.5.2 what?").await?,
            }
        }
        Ok(None)
    }

    fn may_send(&self) -> bool {
        self.authenticated || lock(&self.shared.behaviour).credentials.is_none()
    }

    async fn hello(&mut self) -> std::io::Result<()> {
        let extra = if self.offers_tls { "250 STARTTLS" } else { "250 AUTH PLAIN LOGIN" };
        self.reply(&format!("250-localhost\r\n250-8BITMIME\r\n{extra}")).await
    }

    async fn authenticate(&mut self, line: &str) -> std::io::Result<()> {
        let mut words = line.split_whitespace().skip(1);
        let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
        let given = if mechanism == "PLAIN" {
            let initial = match words.next() {
                Some(initial) => initial.to_owned(),
                None => self.ask("334 ").await?,
            };
            let text = decode(&initial);
            let mut parts = text.split('\0').skip(1).map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        } else {
            let user = self.ask("334 VXNlcm5hbWU6").await?;
            let password = self.ask("334 UGFzc3dvcmQ6").await?;
            (decode(&user), decode(&password))
        };
        let wanted = lock(&self.shared.behaviour).credentials.clone();
        self.authenticated = wanted.is_none_or(|wanted| wanted == given);
        let reply = if self.authenticated { "235 2.7.0 ok" } else { "535 5.7.8 wrong" };
        self.reply(reply).await
    }

    async fn recipient(&mut self, line: &str) -> std::io::Result<()> {
        let refuse = lock(&self.shared.behaviour).refuse.clone();
        match refuse {
            Some(refusal) => self.reply(&refusal).await,
            None => {
                self.to.push(path(line));
                self.reply("250 ok").await
            }
        }
    }

    /// Takes a message; false if the connection is to be dropped.
    async fn data(&mut self) -> std::io::Result<bool> {
        self.reply("354 go on").await?;
        let mut data = String::new();
        while let Some(line) = self.line().await? {
            if line == "." {
                let mail = Mail {
                    from: std::mem::take(&mut self.from),
                    to: std::mem::take(&mut self.to),
                    data,
                    over_tls: self.over_tls,
                };
                let silent = lock(&self.shared.behaviour).silent_after_data;
                lock(&self.shared.mails).push(mail);
                if silent {
                    return Ok(false);
                }
                self.reply("250 2.0.0 accepted").await?;
                return Ok(true);
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            data.push_str("\r\n");
        }
        Ok(false)
    }

    async fn ask(&mut self, question: &str) -> std::io::Result<String> {
        self.reply(question).await?;
        Ok(self.line().await?.unwrap_or_default())
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut bytes = Vec::new();
        if self.stream.read_until(b'\n', &mut bytes).await? == 0 {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned()))
    }

    async fn reply(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }
}

fn path(line: &str) -> String {
    line.split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or_else(String::new, |(path, _)| path.to_owned())
}

fn decode(text: &str) -> String {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a script of lines; gives the reply codes.
    async fn play(relay: &Relay, lines: &[&str]) -> Vec<String> {
        let mut stream = BufStream::new(TcpStream::connect(("127.0.0.1", relay.port())).await.unwrap());
        let mut replies = Vec::new();
        for line in std::iter::once(&"").chain(lines) {
            if !line.is_empty() {
                stream.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
            loop {
                let mut reply = String::new();
                stream.read_line(&mut reply).await.unwrap();
                if reply.as_bytes().get(3) != Some(&b'-') {
                    replies.push(reply.chars().take(3).collect());
                    break;
                }
            }
        }
        replies
    }

    #[tokio::test]
    async fn mail_is_kept_with_its_envelope() {
        let relay = Relay::start(Security::Plain).await.unwrap();
        let script = ["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "Subject: hi\r\n\r\n..dot\r\n.", "QUIT"];
        assert_eq!(play(&relay, &script).await, ["220", "250", "250", "250", "354", "250", "221"]);
        let mails = relay.wait_for(1, Duration::from_secs(5)).await.unwrap();
        assert_eq!((mails[0].from.as_str(), mails[0].to.as_slice()), ("a@x", ["b@x".to_owned()].as_slice()));
        assert_eq!(mails[0].data, "Subject: hi\r\n\r\n.dot\r\n");
    }

    #[tokio::test]
    async fn without_tls_no_mail_is_taken() {
        let relay = Relay::start(Security::Starttls).await.unwrap();
        assert_eq!(play(&relay, &["EHLO me", "MAIL FROM:<a@x>", "STARTTLS"]).await, ["220", "250", "530", "220"]);
    }

    #[tokio::test]
    async fn it_refuses_as_told() {
        let relay = Relay::start(Security::Plain).await.unwrap();
        let refuse = Some("451 4.3.0 later".to_owned());
        relay.behave(Behaviour { refuse, ..Behaviour::default() });
        assert_eq!(play(&relay, &["EHLO me", "MAIL FROM:<a@x>", "RCPT TO:<b@x>"]).await, ["220", "250", "250", "451"]);
    }
}
