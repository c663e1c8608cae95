//! Settings of NATS that risk data, and its clock: what its monitoring port and its API tell.

use jiff::Timestamp;
use serde_json::Value;

use super::{Check, patiently};

/// Clocks that differ more than this order mail wrongly and expire tokens early.
const SKEW: i64 = 5;

/// Whether acknowledged mail survives a power failure. Clients do not see that; the monitoring port does.
pub async fn durability(monitoring: Option<&str>) -> Check {
    let advice = "set `sync_interval: always` in the `jetstream` section of NATS' configuration, or acknowledged mail can \
                  be lost when the power fails";
    let Some(url) = monitoring else {
        let found =
            format!("NATS does not show clients its `sync_interval`: {advice}; with nats.monitoring it is checked");
        return Check::not_checked("durability", found);
    };
    let url = format!("{}/varz", url.trim_end_matches('/'));
    match patiently(variables(&url)).await {
        Some(Ok(variables)) => judge(&variables, advice),
        Some(Err(error)) => {
            Check::warning("durability", format!("{url} does not answer: {error}"), "correct nats.monitoring")
        }
        None => Check::warning("durability", format!("{url} does not answer in time"), "correct nats.monitoring"),
    }
}

async fn variables(url: &str) -> Result<Value, String> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
    let answer = client.get(url).send().await.map_err(|error| error.without_url().to_string())?;
    answer.json().await.map_err(|error| error.without_url().to_string())
}

fn judge(variables: &Value, advice: &str) -> Check {
    let config = variables.pointer("/jetstream/config");
    if config.and_then(|config| config.get("sync_always")).and_then(Value::as_bool) == Some(true) {
        return Check::well("durability", "every acknowledged message is on disk (sync_interval: always)");
    }
    let nanoseconds = config.and_then(|config| config.get("sync_interval")).and_then(Value::as_u64);
    let found = match nanoseconds {
        Some(nanoseconds) => format!("messages are flushed to disk every {} s", nanoseconds / 1_000_000_000),
        None => "NATS does not say how often messages are flushed to disk".to_owned(),
    };
    Check::warning("durability", found, advice)
}

/// Whether this clock and that of NATS agree.
pub async fn clock(client: &async_nats::Client, api: &str, stream: &str) -> Option<Check> {
    let asked = client.request(format!("{api}.STREAM.INFO.{stream}"), bytes::Bytes::new());
    let answer = patiently(asked).await?.ok()?;
    let answer: Value = serde_json::from_slice(&answer.payload).ok()?;
    let theirs = answer.get("ts")?.as_str()?.parse::<Timestamp>().ok()?;
    Some(compare(theirs, postroad_rig::clock::now()))
}

fn compare(theirs: Timestamp, ours: Timestamp) -> Check {
    let skew = theirs.duration_since(ours).as_secs();
    if skew.abs() <= SKEW {
        return Check::well("clocks", "this machine's clock and that of NATS agree");
    }
    let way = if skew < 0 { "behind" } else { "ahead" };
    let found = format!("the clock of NATS is {} s {way} of this machine's", skew.abs());
    Check::warning(
        "clocks",
        found,
        "keep the clocks of all machines by NTP: hours of alerts and the lives of tokens go by them",
    )
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use super::{super::State, *};

    #[test]
    fn only_always_is_safe() {
        let judged = |config: Value| judge(&json!({ "jetstream": { "config": config } }), "set it");
        assert_eq!(judged(json!({ "sync_interval": 120_000_000_000_u64, "sync_always": true })).state, State::Well);
        let lazy = judged(json!({ "sync_interval": 120_000_000_000_u64 }));
        assert_eq!((lazy.state, lazy.found.contains("every 120 s")), (State::Warning, true));
        assert_eq!(judge(&json!({}), "set it").state, State::Warning);
    }

    #[test]
    fn clocks_that_differ_are_told() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        assert_eq!(compare(now + SignedDuration::from_secs(4), now).state, State::Well);
        let behind = compare(now - SignedDuration::from_secs(60), now);
        assert_eq!((behind.state, behind.found.contains("60 s behind")), (State::Warning, true));
    }
}
