use postroad_core::{fault::Code, mailbox, profile};
use postroad_proto::alert::v1::{self as sent, Alert, AlertFilter};
use postroad_rig::caller::Scope;

use super::*;
use crate::fixture::{Log, at, failed, profile_id, succeeded};

struct Stage {
    log: Log,
    folded: usize,
    board: Arc<Board>,
    service: Service,
    shutdown: CancellationToken,
}

impl Stage {
    fn new(log: Log) -> Self {
        let (board, shutdown) = (Arc::new(Board::default()), CancellationToken::new());
        let service = Service::new(Arc::clone(&board), shutdown.clone());
        let mut stage = Self { log, folded: 0, board, service, shutdown };
        stage.fold();
        stage
    }

    /// Brings onto the board what was added to the log.
    fn fold(&mut self) {
        for followed in &self.log.commits[self.folded..] {
            self.board.fold(followed, at(0));
        }
        self.folded = self.log.commits.len();
    }

    async fn list(&self, request: ListAlertsRequest) -> Result<(Vec<Alert>, String), Status> {
        let answer = self.service.list_alerts(by(Scope::Everything, request)).await?.into_inner();
        Ok((answer.alerts, answer.next_page_token))
    }

    async fn watch(&self, filter: AlertFilter) -> BoxStream<'static, Result<WatchAlertsResponse, Status>> {
        let request = by(Scope::Everything, WatchAlertsRequest { filter: Some(filter) });
        self.service.watch_alerts(request).await.unwrap().into_inner()
    }
}

/// A request that came through the gate.
fn by<T>(scope: Scope, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Caller::new(postroad_journal::Actor::new("test"), scope));
    request
}

async fn next(watch: &mut BoxStream<'static, Result<WatchAlertsResponse, Status>>) -> Alert {
    watch.next().await.unwrap().unwrap().alert.unwrap()
}

/// Five mailboxes of which each has an alert of its own.
fn troubled() -> Log {
    let mut log = Log::with(5);
    for number in 0..5_u8 {
        log.mailbox(number.into(), failed(Code::MailboxNotFound, at(number.into())));
    }
    log
}

#[tokio::test]
async fn owners_see_alerts_about_what_is_theirs() {
    use postroad_core::EmailAddress;
    let stage = Stage::new(troubled());
    let own = |address: &str| Scope::Own(Arc::new(vec![EmailAddress::trusted(address)]));
    let listed = async |scope: Scope| {
        let answer = stage.service.list_alerts(by(scope, ListAlertsRequest::default())).await.unwrap();
        answer.into_inner().alerts.len()
    };
    let all = listed(Scope::Everything).await;
    let (profile, mailbox) = stage.board.read(|view| {
        let one = view.wall().list(view, &Filter::default());
        let one = one.iter().find(|entry| matches!(entry.alert.key.regarding, Regarding::Mailbox(_))).unwrap();
        // Forward mailboxes are nobody's own.
        let [owner] = view.owners(one.alert.key.regarding)[..] else { panic!("one owner") };
        (owner.to_string(), one.name.clone())
    });
    assert!(all >= 5);
    assert_eq!((listed(own(&profile)).await, listed(own("eve@contoso.example")).await), (all, 0));
    // Whoever names what is not his is not told whether it exists.
    for mailbox in [mailbox, "nobody@contoso.example".to_owned()] {
        let filter = Some(AlertFilter { mailbox, ..AlertFilter::default() });
        let request = by(own("eve@contoso.example"), WatchAlertsRequest { filter });
        assert_eq!(stage.service.watch_alerts(request).await.err().unwrap().code(), tonic::Code::PermissionDenied);
    }
}

#[tokio::test]
async fn pages_meet_without_gap_or_overlap() {
    let mut log = troubled();
    // Two of the same time.
    log.mailbox(0, failed(Code::MailboxNotFound, at(3)));
    let stage = Stage::new(log);
    let filter = Some(AlertFilter { least: sent::Level::Error.into(), ..Default::default() });
    let all = stage.list(ListAlertsRequest { filter: filter.clone(), ..Default::default() }).await.unwrap();
    assert_eq!((all.0.len(), all.1.as_str()), (5, ""));
    for page_size in 1..5 {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListAlertsRequest { filter: filter.clone(), page_size, page_token };
            let (page, next) = stage.list(request).await.unwrap();
            found.extend(page);
            page_token = next;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, all.0);
    }
}

#[tokio::test]
async fn an_alert_carries_its_row_and_names() {
    let mut log = Log::with(3);
    log.attempts(3, 3);
    let stage = Stage::new(log);
    let filter = Some(AlertFilter { least: sent::Level::Warning.into(), ..Default::default() });
    let (alerts, _) = stage.list(ListAlertsRequest { filter, ..Default::default() }).await.unwrap();
    let [alert] = alerts.as_slice() else { panic!("an outage is one alert: {alerts:?}") };
    assert_eq!(alert.regarding, Some(sent::alert::Regarding::ProfileId(profile_id(1).to_string())));
    assert_eq!(alert.regarding_name, "Profile 1000001");
    assert_eq!((alert.count, alert.mailboxes, alert.level()), (3, 3, sent::Level::Warning));
    let fault = alert.fault.clone().unwrap();
    let row = Code::ConnectRefused.row();
    assert_eq!(
        (fault.code.as_str(), fault.remedy.as_str(), fault.detail.as_str()),
        (row.name, row.remedy, "mail.contoso.example")
    );
}

#[tokio::test]
async fn bad_input_names_the_field() {
    let stage = Stage::new(troubled());
    let refused = async |request: ListAlertsRequest| {
        let status = stage.list(request).await.unwrap_err();
        (status.code(), status::field_of(&status).unwrap().0)
    };
    let filter = |filter: AlertFilter| ListAlertsRequest { filter: Some(filter), ..Default::default() };
    let unknown = filter(AlertFilter { profile: "Nowhere".into(), ..Default::default() });
    assert_eq!(refused(unknown).await, (tonic::Code::NotFound, "filter.profile".into()));
    let unknown = filter(AlertFilter { mailbox: "no@contoso.example".into(), ..Default::default() });
    assert_eq!(refused(unknown).await, (tonic::Code::NotFound, "filter.mailbox".into()));
    let unknown = filter(AlertFilter { least: 99, ..Default::default() });
    assert_eq!(refused(unknown).await, (tonic::Code::InvalidArgument, "filter.least".into()));
    for page_token in ["zz".to_owned(), rig_wire::page_token("nonsense"), rig_wire::page_token("x:y")] {
        let request = ListAlertsRequest { page_token, ..Default::default() };
        assert_eq!(refused(request).await, (tonic::Code::InvalidArgument, "page_token".into()));
    }
}

#[tokio::test]
async fn a_watch_gives_what_is_then_what_becomes_of_it() {
    let mut stage = Stage::new(Log::with(2));
    stage.log.mailbox(0, failed(Code::ConnectRefused, at(1)));
    stage.fold();
    let filter = AlertFilter { least: sent::Level::Warning.into(), ..Default::default() };
    let mut watch = stage.watch(filter).await;
    assert_eq!(next(&mut watch).await.count, 1);

    stage.log.mailbox(1, failed(Code::ConnectRefused, at(2)));
    stage.fold();
    let repeated = next(&mut watch).await;
    assert_eq!((repeated.count, repeated.mailboxes), (2, 2));

    for number in 0..2 {
        stage.log.mailbox(number, succeeded(at(3)));
    }
    stage.fold();
    assert!(next(&mut watch).await.resolved_at.is_some(), "a watcher is told that it is over");

    stage.log.profile(profile_id(1), profile::Event::Deleted);
    stage.log.mailbox(0, mailbox::Event::Deactivated);
    stage.fold();
    stage.shutdown.cancel();
    let rest: Vec<_> = watch.collect().await;
    assert!(rest.len() <= 1, "{rest:?}");
}

#[tokio::test]
async fn a_slow_watcher_sees_the_last_state_and_keeps_nobody_waiting() {
    let mut stage = Stage::new(Log::with(1));
    let mut watch = stage.watch(AlertFilter { least: sent::Level::Warning.into(), ..Default::default() }).await;
    for second in 0..500 {
        stage.log.mailbox(0, failed(Code::ConnectRefused, at(second)));
    }
    stage.fold();
    assert_eq!(next(&mut watch).await.count, 500);
}
