//! What the checks talk to, and what they make. Every name is new with every run.

use postroad_proto::crm::v1::{
    Content, Email, EmailDirection, EmailSource, GetEmailRequest, Party, PartyRole, PromoteEmailRequest, PromoteHeader,
    Record, RecordKind, SaveRecordRequest, SendEmailRequest, SendHeader, crm_service_client::CrmServiceClient,
    promote_email_request::Part, send_email_request::Part as SendPart,
};
use postroad_rig::caller::{Introduced, Introduction};
use sha2::{Digest as _, Sha256};
use tonic::{
    Status,
    transport::{Endpoint, Error},
};
use uuid::Uuid;

/// The largest piece.
const PIECE: usize = 1024 * 1024;

/// A CRM that is checked.
pub struct Stage {
    client: CrmServiceClient<Introduced>,
    run: String,
}

/// A message, and its contents in the contract's order.
#[derive(Clone, Debug)]
pub struct Message {
    /// The header.
    pub header: PromoteHeader,
    /// The contents.
    pub contents: Vec<Vec<u8>>,
}

/// A content, described.
pub fn described(bytes: &[u8]) -> Content {
    let digest = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Content { digest, size: bytes.len() as u64 }
}

/// A party.
pub fn party(role: PartyRole, address: &str) -> Party {
    Party { role: role.into(), address: address.to_owned(), ..Party::default() }
}

impl Message {
    /// The email of the header.
    pub fn email(&mut self) -> &mut Email {
        self.header.email.get_or_insert_default()
    }

    /// The stream.
    pub fn requests(&self) -> Vec<PromoteEmailRequest> {
        let header = PromoteEmailRequest { part: Some(Part::Header(self.header.clone())) };
        let pieces = self.contents.iter().flat_map(|content| content.chunks(PIECE));
        let pieces = pieces.map(|piece| PromoteEmailRequest { part: Some(Part::Piece(piece.to_vec().into())) });
        std::iter::once(header).chain(pieces).collect()
    }
}

impl Stage {
    /// A CRM at an endpoint; nothing is connected yet.
    pub fn new(endpoint: &str, introduction: Introduction) -> Result<Self, Error> {
        let channel = Endpoint::from_shared(endpoint.to_owned())?.connect_lazy();
        Ok(Self {
            client: CrmServiceClient::with_interceptor(postroad_rig::Traced::new(channel), introduction),
            run: Uuid::now_v7().simple().to_string(),
        })
    }

    /// The client.
    pub fn crm(&self) -> CrmServiceClient<Introduced> {
        self.client.clone()
    }

    /// A message id of this run.
    pub fn id(&self, name: &str) -> String {
        format!("<{name}.{}@conformance.example>", self.run)
    }

    /// An address of this run.
    pub fn address(&self, name: &str) -> String {
        format!("{name}.{}@conformance.example", self.run)
    }

    /// A received message in mailbox number `mailbox`.
    pub fn message(&self, name: &str, mailbox: u128) -> Message {
        let contents = vec![b"Hello".to_vec(), format!("MIME of {name} {}", self.run).into_bytes()];
        let [text, mime] = [0, 1].map(|index| contents.get(index).map(|content: &Vec<u8>| described(content)));
        let email = Email {
            direction: EmailDirection::Incoming.into(),
            message_id: self.id(name),
            subject: format!("Subject of {name}"),
            parties: vec![
                party(PartyRole::From, &self.address("sender")),
                party(PartyRole::To, &self.address("recipient")),
            ],
            text,
            mime,
            ..Email::default()
        };
        let source = EmailSource {
            mailbox_id: Uuid::from_u128(mailbox).to_string(),
            email_address: self.address(&format!("mailbox{mailbox}")),
            ..EmailSource::default()
        };
        let header = PromoteHeader { email: Some(email), source: Some(source), ..PromoteHeader::default() };
        Message { header, contents }
    }

    /// Promotes; gives the activity's id and whether it is new.
    pub async fn promote(&self, message: &Message) -> Result<(String, bool), Status> {
        let answer = self.crm().promote_email(futures::stream::iter(message.requests())).await?.into_inner();
        Ok((answer.email_id, answer.created))
    }

    /// An activity by its id or message id.
    pub async fn email(&self, email: &str) -> Result<Email, Status> {
        let answer = self.crm().get_email(GetEmailRequest { email: email.to_owned() }).await?.into_inner();
        answer.email.ok_or_else(|| Status::internal("GetEmail answered without an email"))
    }

    /// Makes a record; gives its id.
    pub async fn record(&self, kind: RecordKind, address: &str) -> Result<String, Status> {
        let record = Record {
            kind: kind.into(),
            name: address.to_owned(),
            addresses: vec![address.to_owned()],
            ..Record::default()
        };
        let answer = self.crm().save_record(SaveRecordRequest { record: Some(record) }).await?.into_inner();
        Ok(answer.record.unwrap_or_default().id)
    }

    /// Queues an email from a user, who is made; gives its id.
    pub async fn queue(
        &self,
        from: &str,
        subject: &str,
        after: Option<prost_types::Timestamp>,
    ) -> Result<String, Status> {
        self.record(RecordKind::User, from).await?;
        let email = Email {
            subject: subject.to_owned(),
            parties: vec![party(PartyRole::From, from), party(PartyRole::To, &self.address("buyer"))],
            send_after: after,
            ..Email::default()
        };
        let header = SendHeader { email: Some(email), ..SendHeader::default() };
        let request = SendEmailRequest { part: Some(SendPart::Header(header)) };
        Ok(self.crm().send_email(futures::stream::iter([request])).await?.into_inner().email_id)
    }
}
