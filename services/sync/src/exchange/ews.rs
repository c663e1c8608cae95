//! The mail server over Exchange Web Services.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use postroad_core::{
    fault::{Code, Report},
    mailbox::{Item, Listed},
    network::Reach,
    profile::TlsLibrary,
};
use postroad_ews::{
    Access, Change, Class, Client, CreateFolder, Credentials, Endpoint, Error, FindFolder, FolderId, FolderRef,
    GetItem, Identity, ItemError, ItemId, ItemShape, Kind, MoveItem, Names, NamesError, Proof, RequestServerVersion,
    SyncFolderItems, Tls, TokenOptions, TokenSources, Transport, TransportOptions, Transports,
};
use postroad_rig::config::Network;

use super::{Changes, Exchange, Failure, ItemFailure, Message};
use crate::place::Place;

/// Where failed mail is moved, at the user's Inbox (setup guide, Additional Settings).
const UNDELIVERABLE: &str = "Undeliverable";

/// Connections to mail servers, shared by the mailboxes of a server.
pub struct Ews {
    transports: Transports,
    tokens: TokenSources,
    response_limit: usize,
    hosts: BTreeMap<String, SocketAddr>,
    reach: Reach,
}

/// One mailbox over EWS.
struct Mailbox {
    client: Client,
}

impl Ews {
    /// No connections yet.
    ///
    /// # Errors
    /// The DNS servers of the configuration cannot be used.
    pub fn new(response_limit: usize, network: &Network) -> Result<Self, NamesError> {
        let transports = Transports::new(Names::servers(&network.resolvers)?);
        Ok(Self {
            transports,
            tokens: TokenSources::default(),
            response_limit,
            hosts: network.hosts.clone(),
            reach: network.reach(),
        })
    }

    /// A mailbox at its place. Opens no connection.
    pub fn open(&self, place: &Place) -> Result<Arc<dyn Exchange>, Report> {
        let endpoint = Endpoint::parse(&place.url)
            .map_err(|error| Report::new(Code::LocationInvalid, format!("{}: {error}", place.url)))?;
        let options = TransportOptions {
            trust_anchors: place.trust_anchors.clone(),
            connect_timeout: place.timeout.min(std::time::Duration::from_secs(30)),
            response_limit: self.response_limit,
            hosts: self.hosts.clone(),
            reach: place.reach.or(self.reach),
            tls: match place.tls {
                TlsLibrary::Postroad => Tls::Rustls,
                TlsLibrary::System => Tls::System,
            },
            ..TransportOptions::default()
        };
        let transport = self.transports.get(&options).map_err(|error| Report::new(error.fault(), error.to_string()))?;
        let identity = if place.impersonate { Identity::PrimaryAddress(place.address.clone()) } else { Identity::Own };
        let access = Access {
            endpoint,
            credentials: self.credentials(place, &transport)?,
            identity,
            version: RequestServerVersion::default(),
            timeout: place.timeout,
        };
        Ok(Arc::new(Mailbox { client: Client::new(&transport, access) }))
    }

    fn credentials(&self, place: &Place, transport: &Transport) -> Result<Credentials, Report> {
        let Some(client) = &place.client_credentials else {
            return Ok(Credentials::basic(place.user_name.clone(), place.password.clone()));
        };
        // A person entered where tokens are issued: it may be internal.
        let options = TransportOptions { reach: Reach::INTERNAL.or(self.reach), ..transport.options().clone() };
        let transport = self.transports.get(&options).map_err(|error| Report::new(error.fault(), error.to_string()))?;
        let url = client.token_location.url();
        let endpoint =
            Endpoint::parse(&url).map_err(|error| Report::new(Code::LocationInvalid, format!("{url}: {error}")))?;
        let options = TokenOptions {
            endpoint,
            client_id: client.client_id.clone(),
            scope: client.scope.clone(),
            proof: Proof::new(client.certificate.as_deref().unwrap_or_default(), place.password.clone()),
        };
        let source = self.tokens.get(&transport, &options);
        source.map(Credentials::oauth).map_err(|error| Report::new(Code::ClientCredentialsRejected, error.to_string()))
    }
}

#[async_trait]
impl Exchange for Mailbox {
    async fn changes(&self, cursor: Option<&str>, most: u32) -> Result<Changes, Failure> {
        let mut request = SyncFolderItems::since(FolderRef::INBOX, cursor.map(str::to_owned));
        request.limit = most;
        let answer = self.client.call(&request).await.map_err(|error| failure(&error, &self.client))?;
        let server_allows = answer.server.and_then(|server| u16::try_from(server.default_concurrency()).ok());
        let page = answer.value;
        let listed = page.changes.into_iter().filter_map(|change| match change {
            Change::Create(arrival) => Some(Listed {
                item: Item { id: arrival.id.id, message_id: arrival.message_id, received: arrival.received },
                class: arrival.class.unwrap_or_default(),
            }),
            // What is known by its first appearance does not become another message by being changed or read.
            Change::Update(_) | Change::Delete(_) | Change::ReadFlag { .. } | Change::Unknown { .. } => None,
        });
        Ok(Changes { listed: listed.collect(), cursor: page.state, more: !page.is_last, server_allows })
    }

    async fn fetch(&self, ids: &[String]) -> Result<Vec<Result<Message, ItemFailure>>, Failure> {
        let ids = ids.iter().map(|id| ItemId::new(id.clone())).collect();
        let answers = self.client.ask(&GetItem { ids, shape: ItemShape::message() }).await;
        let answers = answers.map_err(|error| failure(&error, &self.client))?;
        let mut fetched = Vec::with_capacity(answers.len());
        for answer in answers {
            fetched.push(match answer {
                Ok(item) => Ok(message(item)),
                Err(error) => Err(item_failure(&error)?),
            });
        }
        Ok(fetched)
    }

    async fn move_to_undeliverable(&self, id: &str) -> Result<Result<(), Report>, Failure> {
        let target = FolderRef::Id(self.undeliverable().await.map_err(|error| failure(&error, &self.client))?);
        let request = MoveItem { ids: vec![ItemId::new(id)], target };
        let answers = self.client.ask(&request).await.map_err(|error| failure(&error, &self.client))?;
        match answers.into_iter().next() {
            Some(Ok(_)) => Ok(Ok(())),
            Some(Err(error)) => match item_failure(&error)? {
                ItemFailure::Gone => Ok(Ok(())),
                ItemFailure::NotAttempted => {
                    Err(Failure::Fault(Report::new(Code::ExchangeTransient, error.to_string())))
                }
                ItemFailure::Failed(report) => Ok(Err(report)),
            },
            None => {
                Err(Failure::Fault(Report::new(Code::ResponseMalformed, "MoveItem was answered without a message")))
            }
        }
    }
}

impl Mailbox {
    /// The Undeliverable folder; made on first need. Look first, make, and look again if another one made it meanwhile.
    async fn undeliverable(&self) -> Result<FolderId, Error> {
        if let Some(folder) = self.find_undeliverable().await? {
            return Ok(folder);
        }
        let made = self.client.ask(&CreateFolder { parent: FolderRef::INBOX, name: UNDELIVERABLE.to_owned() }).await;
        match made {
            Err(error) if error.code().is_some_and(|code| code.as_str() == "ErrorFolderExists") => {
                self.find_undeliverable().await?.ok_or(error)
            }
            made => made,
        }
    }

    async fn find_undeliverable(&self) -> Result<Option<FolderId>, Error> {
        let page = self.client.ask(&FindFolder::named(FolderRef::INBOX, UNDELIVERABLE)).await?;
        Ok(page.folders.into_iter().find_map(|folder| folder.id))
    }
}

fn message(item: postroad_ews::Item) -> Message {
    Message {
        mime: Bytes::from(item.mime.unwrap_or_default()),
        message_id: item.internet_message_id.filter(|id| !id.trim().is_empty()),
        received: item.received,
        subject: item.subject.unwrap_or_default(),
    }
}

fn item_failure(error: &ItemError) -> Result<ItemFailure, Failure> {
    if error.is_unattempted() {
        return Ok(ItemFailure::NotAttempted);
    }
    let report = |code| Report::new(code, error.to_string());
    Ok(match error.class() {
        Class::Throttled => {
            return Err(Failure::Throttled(error.back_off().unwrap_or_default(), report(Code::ServerBusy)));
        }
        Class::Rediscover => return Err(Failure::Rediscover(report(Code::MailboxMoving))),
        Class::Transient => return Err(Failure::Fault(report(Code::ExchangeTransient))),
        Class::Auth => return Err(Failure::Fault(report(Code::MailboxAccessDenied))),
        Class::Gone => ItemFailure::Gone,
        _ => ItemFailure::Failed(report(Code::ItemUnreadable)),
    })
}

fn failure(error: &Error, client: &Client) -> Failure {
    let host = client.access().endpoint.host();
    let report = Report::new(error.fault(), format!("{host}: {error}"));
    match error.class() {
        Class::Throttled => Failure::Throttled(error.back_off().unwrap_or_default(), report),
        Class::Resync => Failure::Resync(report),
        _ if error.doubts_location() => Failure::Rediscover(report),
        _ if matches!(error.kind(), Kind::Malformed(_) | Kind::TooLarge(_)) => Failure::Content(report),
        _ => Failure::Fault(report),
    }
}
