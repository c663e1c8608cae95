//! What operators see: one trace for a message, and figures of every role that dashboards and alerts can rely on.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    time::Duration,
};

use mockex::{Fault, FaultKind, Region, ServerVersion, Streaming};
use postroad_proto::crm::v1::{GetSettingsRequest, crm_service_client::CrmServiceClient};
use stage::{Collector, collector::Span, eventually};
use system::{
    Options, Role,
    scene::{DEADLINE, Scene},
};

const ADA: &str = "ada@contoso.example";
const BO: &str = "bo@contoso.example";
const HOUR: Duration = Duration::from_secs(3600);

/// Only notifications bring anything; every role sends its traces and tells its figures.
async fn scene(collector: &Collector) -> Scene {
    seen_by(Some(collector.port())).await
}

async fn seen_by(traces: Option<u16>) -> Scene {
    let streaming = Streaming { back_ends: 3, ..Streaming::default() };
    let region = Region::new("europe", ServerVersion::Exchange2016, [ADA, BO]);
    let organization = mockex::Options { streaming, ..mockex::Options::contoso(vec![region]) };
    let options = Options { poll: HOUR, idle_poll: HOUR, figures: true, traces, ..Options::default() };
    let scene = Scene::open(organization, options).await.unwrap();
    scene.enable(&[ADA, BO]).await.unwrap();
    let notified = || async {
        let text = scene.deployment.figures(Role::Sync).await.unwrap();
        (value(&text, "postroad_sync_notified_mailboxes") == Some(2.0)).then_some(())
    };
    eventually(DEADLINE, notified).await.unwrap();
    scene
}

/// Waits for a whole trace that has a span for each of these names and services.
async fn trace_with(collector: &Collector, first: &str, wanted: &[(&str, &str)]) -> Vec<Span> {
    let complete = || {
        let spans = collector.spans();
        let starts = spans.iter().filter(|span| span.name == first && span.parent.is_empty());
        let mut traces = starts.map(|span| collector.trace(&span.trace_id));
        let has_all = |trace: &Vec<Span>| wanted.iter().all(|wanted| trace.iter().any(|span| is(span, wanted)));
        traces.find(|trace| has_all(trace) && has_one_root(trace))
    };
    match eventually(DEADLINE, || async { complete() }).await {
        Some(trace) => trace,
        None => {
            let starts = collector.spans().into_iter().filter(|span| span.name == first);
            let told: Vec<_> = starts.map(|span| collector.tree(&span.trace_id)).collect();
            panic!("no trace from {first} has {wanted:?}:\n{}", told.join("\n"));
        }
    }
}

fn is(span: &Span, (service, name): &(&str, &str)) -> bool {
    span.service == format!("postroad-{service}") && span.name == *name
}

/// Whether every span but the first is part of another one that has come, too.
fn has_one_root(trace: &[Span]) -> bool {
    let ids: BTreeSet<_> = trace.iter().map(|span| span.id.as_str()).collect();
    trace.iter().filter(|span| !ids.contains(span.parent.as_str())).count() == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_one_trace_from_the_notification_to_the_views_of_all_roles() {
    let collector = Collector::start().await.unwrap();
    let mut scene = scene(&collector).await;
    scene.deliver("trace", 1, ADA).unwrap();
    scene.wait_for("trace", [1]).await.unwrap();
    let promote = "postroad.crm.v1.CrmService/PromoteEmail";
    let wanted = [
        ("sync", "cycle"),
        ("sync", "EWS SyncFolderItems"),
        ("sync", "EWS GetItem"),
        ("sync", "verdict"),
        ("sync", promote),
        ("crm", promote),
        ("crm", "journal commit"),
        ("sync", "journal commit"),
        ("crm", "journal follow"),
        ("alert", "journal follow"),
        ("profile", "journal follow"),
    ];
    let trace = trace_with(&collector, "notification", &wanted).await;
    println!("{}", collector.tree(&trace[0].trace_id));
    let asked = trace.iter().find(|span| span.name == "EWS GetItem").unwrap();
    // The ids by which the logs of IIS and EWS have it.
    assert_eq!(asked.attributes["exchange.request_id"].len(), 36, "{asked:?}");
    assert!(asked.attributes.contains_key("exchange.client_request_id"));
    assert_eq!(asked.attributes["http.response.status_code"], "200");
    let verdict = trace.iter().find(|span| span.name == "verdict").unwrap();
    assert_eq!(verdict.attributes["sync.decision"], "tracked");
    let cycle = trace.iter().find(|span| span.name == "cycle").unwrap();
    assert_eq!((&*cycle.attributes["sync.trigger"], &*cycle.attributes["sync.outcome"]), ("notified", "done"));
    for span in &trace {
        assert!(span.attributes.values().all(|value| !value.contains('@')), "an address: {span:?}");
    }

    // A worker that has just started asks the locator too.
    scene.deployment.kill(Role::Sync).await.unwrap();
    scene.deliver("trace", 2, ADA).unwrap();
    scene.deployment.restart(Role::Sync).await.unwrap();
    scene.wait_for("trace", [2]).await.unwrap();
    let locate = "postroad.locator.v1.LocatorService/Locate";
    let wanted = [("sync", locate), ("locator", locate), ("crm", promote), ("alert", "journal follow")];
    trace_with(&collector, "cycle", &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_exchange_shows_in_one_trace_and_in_the_log_with_its_id() {
    let collector = Collector::start().await.unwrap();
    let scene = scene(&collector).await;
    let kind = FaultKind::SoapFault { code: "ErrorMailboxStoreUnavailable".to_owned() };
    scene.deployment.exchange.set_fault(Fault::new(kind).operation("GetItem"));
    scene.deliver("broken", 1, BO).unwrap();
    let failed = || async {
        let spans = collector.spans();
        spans.into_iter().find(|span| span.name == "EWS GetItem" && span.is_failed)
    };
    let failed = eventually(DEADLINE, failed).await.unwrap();
    println!("{}", collector.tree(&failed.trace_id));
    assert!(failed.attributes.contains_key("error.type"), "{failed:?}");
    let told = || async {
        let log = scene.deployment.logs().unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut of_trace = lines.filter(|line| line["trace_id"] == failed.trace_id.as_str());
        of_trace.find(|line| line["fields"]["fault"].is_string())
    };
    let line = eventually(DEADLINE, told).await.expect("no line of the log names the trace");
    assert_eq!((&line["level"], line["span_id"].as_str().unwrap().len()), (&"WARN".into(), 16), "{line}");
}

/// Lines of several roles can be told to belong together: a call has the trace of who calls, and what a role begins has one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_the_ids_of_traces_that_nobody_takes() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let scene = seen_by(None).await;
    let line = |is_wanted: fn(&serde_json::Value) -> bool| {
        let deployment = &scene.deployment;
        let told = move || async move {
            let log = deployment.logs().unwrap();
            log.lines().filter_map(|line| serde_json::from_str(line).ok()).find(is_wanted)
        };
        eventually(DEADLINE, told)
    };
    let channel = tonic::transport::Endpoint::new(format!("http://127.0.0.1:{}", scene.deployment.port(Role::Crm)));
    let mut stranger = CrmServiceClient::new(channel.unwrap().connect_lazy());
    let mut request = tonic::Request::new(GetSettingsRequest::default());
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-b7ad6b7169203331-00").parse().unwrap());
    assert!(stranger.get_settings(request).await.is_err());
    let denied = line(|line| line["target"] == "audit" && line["trace_id"].is_string()).await.expect("no denial");
    assert_eq!(denied["trace_id"], TRACE, "{denied}");

    let kind = FaultKind::SoapFault { code: "ErrorMailboxStoreUnavailable".to_owned() };
    scene.deployment.exchange.set_fault(Fault::new(kind).operation("GetItem"));
    scene.deliver("broken", 1, BO).unwrap();
    let failed = line(|line| line["fields"]["fault"].is_string() && line["target"] != "audit").await;
    let failed = failed.expect("no line tells the fault");
    assert_eq!(failed["trace_id"].as_str().map(str::len), Some(32), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_exchange_shows_by_operation_in_one_trace_and_in_the_figures() {
    let collector = Collector::start().await.unwrap();
    let scene = scene(&collector).await;
    let slow = Fault::new(FaultKind::Slow { milliseconds: 1500 }).operation("GetItem");
    scene.deployment.exchange.set_fault(slow);
    scene.deliver("slow", 1, ADA).unwrap();
    scene.wait_for("slow", [1]).await.unwrap();
    let promoted = ("crm", "postroad.crm.v1.CrmService/PromoteEmail");
    let wanted = [("sync", "EWS GetItem"), promoted, ("crm", "journal follow")];
    let trace = trace_with(&collector, "notification", &wanted).await;
    println!("{}", collector.tree(&trace[0].trace_id));
    let took = |name: &str| trace.iter().filter(|span| span.name == name).map(|span| span.ended - span.began).max();
    // The operation is late by what the server was, and so is all that waits for it.
    assert!(took("EWS GetItem").unwrap() >= 1_500_000_000, "{:?}", took("EWS GetItem"));
    assert!(took("cycle").unwrap() >= 1_500_000_000, "{:?}", took("cycle"));
    let text = scene.deployment.figures(Role::Sync).await.unwrap();
    let spent = text.lines().filter(|line| line.starts_with("postroad_exchange_request_duration_seconds_sum"));
    let spent = spent
        .filter(|line| line.contains("operation=\"GetItem\""))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    assert!(spent.sum::<f64>() >= 1.5, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_that_is_declared_is_told_and_names_no_one() {
    let collector = Collector::start().await.unwrap();
    let scene = scene(&collector).await;
    (0..4).for_each(|number| drop(scene.deliver("figures", number, if number % 2 == 0 { ADA } else { BO }).unwrap()));
    scene.wait_for("figures", 0..4).await.unwrap();
    // One message cannot be read and is tried again; then nobody gets in.
    let corrupt = FaultKind::ResponseError { code: "ErrorItemCorrupt".to_owned() };
    scene.deployment.exchange.set_fault(Fault::new(corrupt).operation("GetItem"));
    scene.deliver("figures", 4, ADA).unwrap();
    let deferred = || async {
        let text = scene.deployment.figures(Role::Sync).await.unwrap();
        text.contains("postroad_sync_deferrals_total{").then_some(())
    };
    eventually(DEADLINE, deferred).await.expect("the message is tried again");
    let forbidden = FaultKind::HttpStatus { status: 403, retry_after: None, location: None };
    scene.deployment.exchange.set_fault(Fault::new(forbidden));
    scene.deliver("figures", 5, BO).unwrap();
    let declared: Vec<_> = postroad_metric::declared().into_iter().map(|one| one.name).collect();
    let complete = eventually(DEADLINE, || async {
        let mut all = BTreeMap::new();
        for role in Role::ALL {
            all.insert(role, scene.deployment.figures(role).await.ok()?);
        }
        let names: BTreeSet<String> = all.values().flat_map(|text| families(text)).collect();
        let is_complete = declared.iter().all(|name| names.contains(name) || ELSEWHERE.contains(&name.as_str()));
        is_complete.then_some(all)
    });
    let Some(told) = complete.await else {
        let mut names = BTreeSet::new();
        for role in Role::ALL {
            names.extend(families(&scene.deployment.figures(role).await.unwrap()));
        }
        let missing: Vec<_> = declared.iter().filter(|name| !names.contains(*name)).collect();
        panic!("declared and never told: {missing:?}");
    };
    for (role, text) in &told {
        let role = role.name();
        assert!(text.contains(&format!("postroad_serving{{role=\"{role}\"}} 1")), "{role}");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let is_ours = line.starts_with("postroad_") || line.starts_with("process_");
            assert!(is_ours && !line.contains('@') && !line.contains("Contoso"), "{line}");
        }
        // A label without a bound would show here.
        assert!(text.lines().count() < 3000, "{role} tells {} lines", text.lines().count());
        check(role, text);
    }
}

/// Figures that need what this stage does not have: certificates between the roles.
const ELSEWHERE: [&str; 1] = ["postroad_certificate_expiry_timestamp_seconds"];

/// The families of a text.
fn families(text: &str) -> impl Iterator<Item = String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned)
}

/// The value of a figure without labels.
fn value(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Prometheus' own opinion of names, units and help.
fn check(role: &str, text: &str) {
    let promtool = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        println!("promtool is not installed: names are not checked by it");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{role}: {said}");
}
