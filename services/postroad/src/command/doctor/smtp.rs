//! The SMTP relay: reachable, and greeting like one. Nothing is sent.

use postroad_core::fault::Code;
use postroad_rig::config::{Smtp, SmtpTls};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpStream,
};

use super::{Check, patiently};

const NAME: &str = "smtp relay";

/// Connects to the relay and reads its greeting.
pub async fn check(smtp: &Smtp) -> Check {
    let place = format!("{}:{}", smtp.host, smtp.port);
    let problem = |detail: String| Check::fault(NAME, Code::NotificationFailed, format!("{place}: {detail}"));
    if let Some(file) = &smtp.password_file
        && let Err(error) = std::fs::metadata(file)
    {
        return problem(format!("alert.smtp.password_file = \"{}\": {error}", file.display()));
    }
    let stream = match patiently(TcpStream::connect((smtp.host.as_str(), smtp.port))).await {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return problem(error.to_string()),
        None => return problem("it did not answer in time".to_owned()),
    };
    if smtp.tls == SmtpTls::Implicit {
        return Check::well(NAME, format!("{place} accepts connections; TLS and credentials show with the first mail"));
    }
    let mut greeting = String::new();
    match patiently(BufReader::new(stream).read_line(&mut greeting)).await {
        Some(Ok(_)) if greeting.starts_with("220") => Check::well(NAME, format!("{place} greets: {}", greeting.trim())),
        Some(Ok(_)) => problem(format!("it greets with `{}` instead of 220", greeting.trim())),
        Some(Err(error)) => problem(error.to_string()),
        None => problem("it did not greet in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt as _, net::TcpListener};

    use super::{super::State, *};

    async fn greeted_with(greeting: &'static [u8]) -> Check {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let smtp = Smtp {
            host: "127.0.0.1".into(),
            port,
            tls: SmtpTls::None,
            from: "postroad@x.example".into(),
            user_name: None,
            password_file: None,
            trust_anchors_file: None,
            timeout_ms: 1000,
        };
        let greet = async { listener.accept().await.unwrap().0.write_all(greeting).await.unwrap() };
        tokio::join!(check(&smtp), greet).0
    }

    #[tokio::test]
    async fn a_relay_greets() {
        assert_eq!(greeted_with(b"220 relay.x.example ESMTP\r\n").await.state, State::Well);
        let check = greeted_with(b"HTTP/1.1 400 Bad Request\r\n").await;
        assert_eq!((check.state, check.code.as_deref()), (State::Problem, Some("NOTIFICATION_FAILED")));
    }
}
