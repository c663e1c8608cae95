//! Autodiscover: the SOAP service and POX.

use mockex::{BusyForm, Fault, FaultKind, Move, Options, Service};
use reqwest::header::CONTENT_TYPE;

use crate::client::{ANA, Answer, SERVICE, Stand, options, texts};

const POX_OUTER: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
const POX_INNER: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

/// GetUserSettings about these addresses.
pub fn user_settings(addresses: &[&str]) -> String {
    let users: String =
        addresses.iter().map(|address| format!("<a:User><a:Mailbox>{address}</a:Mailbox></a:User>")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:a=\"http://schemas.microsoft.com/exchange/2010/Autodiscover\" \
         xmlns:wsa=\"http://www.w3.org/2005/08/addressing\" xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Header>\
         <a:RequestedServerVersion>Exchange2010</a:RequestedServerVersion>\
         <wsa:Action>http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/GetUserSettings</wsa:Action>\
         </soap:Header><soap:Body><a:GetUserSettingsRequestMessage><a:Request><a:Users>{users}</a:Users><a:RequestedSettings>\
         <a:Setting>ExternalEwsUrl</a:Setting><a:Setting>InternalEwsUrl</a:Setting><a:Setting>EwsSupportedSchemas</a:Setting>\
         <a:Setting>MailboxVersion</a:Setting></a:RequestedSettings></a:Request></a:GetUserSettingsRequestMessage></soap:Body></soap:Envelope>"
    )
}

/// A POX request.
pub fn pox(address: &str, schema: &str) -> String {
    format!(
        "<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\"><Request>\
         <EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
    )
}

impl Stand {
    /// Asks the SOAP service.
    pub async fn settings(&self, addresses: &[&str]) -> Answer {
        self.discover("svc", user_settings(addresses)).await
    }

    /// Asks POX.
    pub async fn pox(&self, address: &str) -> Answer {
        self.discover("xml", pox(address, POX_INNER)).await
    }

    async fn discover(&self, extension: &str, body: String) -> Answer {
        let url = self.exchange.autodiscover_url().replace(".svc", &format!(".{extension}"));
        let request = self.http.post(url).basic_auth(SERVICE.0, Some(SERVICE.1));
        let request = request.header(CONTENT_TYPE, "text/xml; charset=utf-8").body(body);
        Answer::read(request.send().await.unwrap()).await
    }
}

#[tokio::test]
async fn each_mailbox_has_the_url_of_its_region() {
    let stand = Stand::start().await;
    let (europe, asia) = (stand.exchange.region_url("europe").unwrap(), stand.exchange.region_url("asia").unwrap());
    assert_ne!(europe, asia);
    let answer = stand.settings(&[ANA, "kemal@contoso.example"]).await;
    assert_eq!(
        (answer.status, texts(&answer.text, "Name")),
        (200, ["ExternalEwsUrl", "InternalEwsUrl", "EwsSupportedSchemas"].repeat(2),)
    );
    let values = texts(&answer.text, "Value");
    assert_eq!(&values[..2], [europe.as_str(), europe.as_str()]);
    assert_eq!(&values[3..5], [asia.as_str(), asia.as_str()]);
    assert!(values[2].ends_with("Exchange2016") && values[5].ends_with("Exchange2010_SP2"), "{values:?}");
    assert_eq!(texts(&answer.text, "SettingName"), ["MailboxVersion"; 2], "what is not known is an error of its own");

    let answer = stand.pox("kemal@contoso.example").await;
    assert_eq!(texts(&answer.text, "Type"), ["EXCH", "EXPR"]);
    assert_eq!(texts(&answer.text, "EwsUrl"), [asia.as_str(), asia.as_str()]);
    assert_eq!(texts(&answer.text, "Action"), ["settings"]);
}

#[tokio::test]
async fn a_move_shows_at_once() {
    let stand = Stand::start().await;
    let movement = Move { mailbox: ANA.to_owned(), region: "america".to_owned(), elsewhere: None };
    stand.exchange.move_mailbox(&movement).unwrap();
    let america = stand.exchange.region_url("america").unwrap();
    assert_eq!(texts(&stand.settings(&[ANA]).await.text, "Value")[0], america);
    assert_eq!(texts(&stand.pox(ANA).await.text, "EwsUrl")[0], america);
}

#[tokio::test]
async fn unknown_addresses_have_their_codes() {
    let stand = Stand::start().await;
    for unknown in ["ghost@contoso.example", "ana@fabrikam.example"] {
        let answer = stand.settings(&[unknown]).await;
        assert_eq!((answer.status, texts(&answer.text, "ErrorCode")), (200, vec!["NoError", "InvalidUser"]));
        let answer = stand.pox(unknown).await;
        assert_eq!((answer.status, texts(&answer.text, "ErrorCode")), (200, vec!["500"]));
        assert!(answer.text.contains(&format!("<Response xmlns=\"{POX_INNER}\">")), "{}", answer.text);
    }
    let mixed = stand.settings(&["ghost@contoso.example", ANA]).await;
    assert_eq!(texts(&mixed.text, "ErrorCode")[..3], ["NoError", "InvalidUser", "NoError"], "in the order asked");
}

#[tokio::test]
async fn wrong_requests_have_theirs() {
    let stand = Stand::start().await;
    for (body, code) in [
        ("<html/>".to_owned(), "600"),
        ("no xml".to_owned(), "600"),
        (pox(ANA, POX_INNER).replace("http://", "https://"), "600"),
        (pox(ANA, "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006"), "601"),
    ] {
        let answer = stand.discover("xml", body).await;
        assert_eq!((answer.status, answer.first("ErrorCode")), (200, code));
        assert!(answer.text.contains(POX_OUTER) && !answer.text.contains(POX_INNER), "{}", answer.text);
    }
    let none = stand.settings(&[]).await;
    assert_eq!((none.status, none.first("ErrorCode")), (200, "InvalidRequest"));
    let broken = stand.discover("svc", "<html/>".to_owned()).await;
    assert!(broken.status == 500 && broken.text.contains("<s:Fault>"), "{broken:?}");
}

#[tokio::test]
async fn a_probe_without_credentials_sees_what_it_is() {
    let stand = Stand::start().await;
    let url = stand.exchange.autodiscover_url().replace(".svc", ".xml");
    let answer = Answer::read(stand.http.get(url).send().await.unwrap()).await;
    assert_eq!((answer.status, answer.header("x-soap-enabled"), answer.text.as_str()), (401, Some("True"), ""));
    assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), 3);
    let noted = stand.exchange.requests();
    assert_eq!((noted[0].service, noted[0].with_credentials, noted[0].status), (Service::Autodiscover, false, 401));
}

#[tokio::test]
async fn a_service_can_be_missing() {
    let stand = Stand::of(Options { autodiscover_soap: false, ..options() }).await;
    assert_eq!(stand.settings(&[ANA]).await.status, 404);
    assert_eq!(stand.pox(ANA).await.status, 200);
    let stand = Stand::of(Options { autodiscover_pox: false, ..options() }).await;
    assert_eq!(stand.settings(&[ANA]).await.status, 200);
    assert_eq!(stand.pox(ANA).await.status, 404);
}

#[tokio::test]
async fn faults_redirect_and_delay() {
    let stand = Stand::start().await;
    let other = "ana@contoso.mail.onmicrosoft.example";
    stand.exchange.set_fault(Fault::new(FaultKind::RedirectAddress { address: other.to_owned() }).times(2));
    let answer = stand.settings(&[ANA]).await;
    assert_eq!((answer.first("RedirectTarget"), texts(&answer.text, "ErrorCode")[1]), (other, "RedirectAddress"));
    let answer = stand.pox(ANA).await;
    assert_eq!((answer.first("Action"), answer.first("RedirectAddr")), ("redirectAddr", other));

    let url = "https://autodiscover.emea.contoso.example/autodiscover/autodiscover.svc";
    stand.exchange.set_fault(Fault::new(FaultKind::RedirectUrl { url: url.to_owned() }).times(2));
    let answer = stand.settings(&[ANA]).await;
    assert_eq!((answer.first("RedirectTarget"), texts(&answer.text, "ErrorCode")[1]), (url, "RedirectUrl"));
    let answer = stand.pox(ANA).await;
    assert_eq!((answer.first("Action"), answer.first("RedirectUrl")), ("redirectUrl", url));

    let location = Some(url.to_owned());
    let found = FaultKind::HttpStatus { status: 302, retry_after: None, location };
    stand.exchange.set_fault(Fault::new(found).service(Service::Autodiscover).times(1));
    let answer = stand.settings(&[ANA]).await;
    assert_eq!((answer.status, answer.header("location")), (302, Some(url)));

    let busy = FaultKind::Busy { back_off_milliseconds: 1, form: BusyForm::default() };
    stand.exchange.set_fault(Fault::new(busy).operation("GetUserSettings").times(1));
    assert_eq!(stand.settings(&[ANA]).await.first("ErrorCode"), "ServerBusy");
    assert_eq!(stand.settings(&[ANA]).await.first("ErrorCode"), "NoError");
}
