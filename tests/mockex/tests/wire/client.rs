//! An organisation with an HTTP client, and the requests that tests send.

use mockex::{Challenge, Delivered, Delivery, Options, Organization, Region, Running, ServerVersion};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Client, RequestBuilder, Response};

pub const ANA: &str = "ana@contoso.example";
pub const BEN: &str = "ben@contoso.example";
pub const SERVICE: (&str, &str) = ("crm@contoso.example", "Pass-word1");

pub const GET_INBOX: &str = "<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>\
     <m:FolderIds><t:DistinguishedFolderId Id=\"inbox\"/></m:FolderIds></m:GetFolder>";
pub const FIND_ITEMS: &str = "<m:FindItem Traversal=\"Shallow\"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>\
     <t:AdditionalProperties><t:FieldURI FieldURI=\"item:Subject\"/></t:AdditionalProperties></m:ItemShape>\
     <m:ParentFolderIds><t:DistinguishedFolderId Id=\"inbox\"/></m:ParentFolderIds></m:FindItem>";

/// A running organisation: Europe with Exchange 2016, America with 2013 SP1, Asia with 2010 SP3.
pub struct Stand {
    pub exchange: Running,
    pub http: Client,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

/// A request before it is sent: by the service account to Europe, for Ana, as Exchange 2010 SP2.
#[derive(Clone)]
pub struct Ask<'a> {
    pub region: &'a str,
    pub version: &'a str,
    /// The content of `t:ConnectingSID`; no impersonation if none.
    pub sid: Option<String>,
    pub logon: Option<(&'a str, &'a str)>,
    pub operation: &'a str,
}

// === impl Stand ===

impl Stand {
    pub async fn start() -> Self {
        Self::of(options()).await
    }

    pub async fn challenging(challenge: Challenge) -> Self {
        Self::of(Options { challenge, ..options() }).await
    }

    pub async fn of(options: Options) -> Self {
        let exchange = Organization::start(options).await.unwrap();
        let authority = Certificate::from_pem(exchange.ca_pem().as_bytes()).unwrap();
        let http = Client::builder()
            .tls_certs_only([authority])
            .no_gzip()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { exchange, http }
    }

    pub fn deliver(&self, mailbox: &str, subject: &str) -> Delivered {
        let mime = format!(
            "From: Gus <gus@fabrikam.example>\r\nTo: {mailbox}\r\nMessage-ID: <{subject}@fabrikam.example>\r\n\
             Date: Mon, 2 Feb 2026 10:00:00 +0000\r\nSubject: {subject}\r\n\r\nThe text of {subject}\r\n"
        );
        self.exchange
            .deliver(Delivery { mailbox: mailbox.to_owned(), mime: mime.into(), ..Delivery::default() })
            .unwrap()
    }

    pub fn post(&self, ask: &Ask<'_>) -> RequestBuilder {
        let request = self.http.post(self.exchange.region_url(ask.region).unwrap());
        let request = match ask.logon {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        };
        request.header(CONTENT_TYPE, "text/xml; charset=utf-8").body(ask.envelope())
    }

    pub async fn ask(&self, ask: &Ask<'_>) -> Answer {
        Answer::read(self.post(ask).send().await.unwrap()).await
    }

    /// Asks as the service account for Ana.
    pub async fn ana(&self, operation: &str) -> Answer {
        self.ask(&Ask::new(operation)).await
    }
}

/// The organisation of most tests.
pub fn options() -> Options {
    let mut europe = Region::new("europe", ServerVersion::Exchange2016, [ANA, BEN, "cleo@contoso.example"]);
    europe.mailboxes[0].proxy_addresses.push("ana.alias@contoso.example".to_owned());
    europe.mailboxes[0].principal_name = Some("ana.upn@contoso.example".to_owned());
    europe.mailboxes[0].password = Some("Own-word1".to_owned());
    europe.mailboxes[2].disabled = true;
    europe.mailboxes[2].password = Some("Own-word1".to_owned());
    let america = Region::new("america", ServerVersion::Exchange2013Sp1, ["hana@contoso.example"]);
    let asia = Region::new("asia", ServerVersion::Exchange2010Sp3, ["kemal@contoso.example"]);
    Options::contoso(vec![europe, america, asia])
}

// === impl Ask ===

impl<'a> Ask<'a> {
    pub fn new(operation: &'a str) -> Self {
        Self { region: "europe", version: "Exchange2010_SP2", sid: Some(primary(ANA)), logon: Some(SERVICE), operation }
    }

    /// The same with another operation.
    pub fn to<'b>(&self, operation: &'b str) -> Ask<'b>
    where
        'a: 'b,
    {
        Ask { operation, ..self.clone() }
    }

    pub fn region(self, region: &'a str) -> Self {
        Self { region, ..self }
    }

    pub fn version(self, version: &'a str) -> Self {
        Self { version, ..self }
    }

    pub fn mailbox(self, address: &str) -> Self {
        self.sid(primary(address))
    }

    pub fn sid(self, sid: String) -> Self {
        Self { sid: Some(sid), ..self }
    }

    pub fn without_impersonation(self) -> Self {
        Self { sid: None, ..self }
    }

    pub fn logon(self, name: &'a str, password: &'a str) -> Self {
        Self { logon: Some((name, password)), ..self }
    }

    pub fn without_logon(self) -> Self {
        Self { logon: None, ..self }
    }

    pub fn envelope(&self) -> String {
        let impersonation = self.sid.as_ref().map_or_else(String::new, |sid| {
            format!("<t:ExchangeImpersonation><t:ConnectingSID>{sid}</t:ConnectingSID></t:ExchangeImpersonation>")
        });
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope \
             xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:m=\"http://schemas.microsoft.com/exchange/services/2006/messages\" \
             xmlns:t=\"http://schemas.microsoft.com/exchange/services/2006/types\">\
             <soap:Header><t:RequestServerVersion Version=\"{}\"/>{impersonation}</soap:Header>\
             <soap:Body>{}</soap:Body></soap:Envelope>",
            self.version, self.operation
        )
    }
}

fn primary(address: &str) -> String {
    format!("<t:PrimarySmtpAddress>{address}</t:PrimarySmtpAddress>")
}

/// GetItem of these ids with every property, the body and the MIME content.
pub fn get_items<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let ids: String = ids.into_iter().map(|id| format!("<t:ItemId Id=\"{id}\"/>")).collect();
    format!(
        "<m:GetItem><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent>\
         <t:BodyType>Text</t:BodyType></m:ItemShape><m:ItemIds>{ids}</m:ItemIds></m:GetItem>"
    )
}

/// SyncFolderItems of the Inbox.
pub fn sync_inbox(state: Option<&str>) -> String {
    let state = state.map_or_else(String::new, |state| format!("<m:SyncState>{state}</m:SyncState>"));
    format!(
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>\
         <t:DistinguishedFolderId Id=\"inbox\"/></m:SyncFolderId>{state}<m:MaxChangesReturned>512</m:MaxChangesReturned>\
         </m:SyncFolderItems>"
    )
}

// === impl Answer ===

impl Answer {
    pub async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The response codes of the messages, or of the fault.
    pub fn codes(&self) -> Vec<&str> {
        texts(&self.text, "ResponseCode")
    }

    /// Status and code of a SOAP fault.
    pub fn fault(&self) -> (u16, &str) {
        assert!(self.text.contains("<s:Fault>"), "no fault: {}", self.text);
        (self.status, self.codes()[0])
    }

    /// Asserts that everything succeeded.
    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.status, 200, "{}", self.text);
        assert!(!self.codes().is_empty() && self.codes().iter().all(|code| *code == "NoError"), "{}", self.text);
        self
    }

    pub fn first(&self, name: &str) -> &str {
        texts(&self.text, name)[0]
    }
}

/// The texts of all elements of a name, whatever their prefix.
pub fn texts<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    text.split('<')
        .filter_map(|tag| {
            let (head, content) = tag.split_once('>')?;
            let qualified = head.split_whitespace().next()?;
            (!head.ends_with('/') && qualified.rsplit(':').next() == Some(name) && !head.starts_with('/'))
                .then_some(content)
        })
        .collect()
}

/// Whether a request carries credentials at all.
pub fn has_credentials(request: &reqwest::Request) -> bool {
    request.headers().contains_key(AUTHORIZATION)
}
