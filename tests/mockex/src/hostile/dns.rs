//! A DNS server by UDP that says what it is told to (RFC 1035; SRV by RFC 2782).

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::running::Error;

const A: u16 = 1;
const SRV: u16 = 33;

/// One record.
#[derive(Clone, Debug)]
pub enum Record {
    /// An address.
    Address(Ipv4Addr),
    /// A service: priority, weight, port, target.
    Service(u16, u16, u16, String),
    /// The server fails.
    Failure,
    /// The server does not answer.
    Silence,
}

type Zone = Arc<Mutex<HashMap<String, Vec<Vec<Record>>>>>;

/// A running server.
pub struct Dns {
    pub address: SocketAddr,
    zone: Zone,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Dns {
    pub async fn start(tasks: &mut JoinSet<()>) -> Result<Self, Error> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let dns = Self { address: socket.local_addr()?, zone: Zone::default(), asked: Arc::default() };
        let (zone, asked) = (Arc::clone(&dns.zone), Arc::clone(&dns.asked));
        tasks.spawn(async move {
            let mut buffer = [0_u8; 2048];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let question = buffer.get(..length).unwrap_or_default();
                if let Some(reply) = answer(question, &zone, &asked) {
                    let _ = socket.send_to(&reply, peer).await;
                }
            }
        });
        Ok(dns)
    }

    pub fn set(&self, name: &str, answers: Vec<Vec<Record>>) {
        let mut zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        zone.insert(name.to_lowercase(), answers);
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(question: &[u8], zone: &Zone, asked: &Mutex<Vec<String>>) -> Option<Vec<u8>> {
    let (name, end) = name(question, 12)?;
    let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
    let section = question.get(12..end + 4)?;
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
    let records = next(zone, &name, kind);
    let exists = zone.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&name);
    if records.iter().any(|record| matches!(record, Record::Silence)) {
        return None;
    }
    let failed = records.iter().any(|record| matches!(record, Record::Failure));
    let data: Vec<Vec<u8>> = records.iter().filter_map(|record| data(record, kind)).collect();
    let code = if failed { 2 } else { u8::from(!exists) * 3 };
    let mut reply = question.get(..2)?.to_vec();
    reply.extend([0x85, 0x80 | code, 0, 1]);
    reply.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
    reply.extend([0, 0, 0, 0]);
    reply.extend(section);
    for data in data {
        // A pointer to the question's name, the kind, class IN, no time to live.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 0]);
        reply.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        reply.extend(data);
    }
    Some(reply)
}

/// The answer whose turn it is. Questions for other kinds of addresses take none away.
fn next(zone: &Zone, name: &str, kind: u16) -> Vec<Record> {
    let mut zone = zone.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(answers) = zone.get_mut(name) else { return Vec::new() };
    let is_asked_for = kind == A || kind == SRV;
    if is_asked_for && answers.len() > 1 { answers.remove(0) } else { answers.first().cloned().unwrap_or_default() }
}

fn data(record: &Record, kind: u16) -> Option<Vec<u8>> {
    match (record, kind) {
        (Record::Address(address), A) => Some(address.octets().to_vec()),
        (Record::Service(priority, weight, port, target), SRV) => {
            let mut data: Vec<u8> = [priority, weight, port].iter().flat_map(|number| number.to_be_bytes()).collect();
            for label in target.trim_end_matches('.').split('.') {
                data.push(u8::try_from(label.len()).ok()?);
                data.extend(label.as_bytes());
            }
            data.push(0);
            Some(data)
        }
        _ => None,
    }
}

/// A name without compression, as questions have it, and where it ends.
fn name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join(".").to_lowercase(), at));
        }
        labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).into_owned());
        at += length;
    }
}
