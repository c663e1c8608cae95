//! A run of chaos: bounded as it is, long by `POSTROAD_CHAOS_SECONDS=3600`; `POSTROAD_SEED` repeats the plan of a run, which prints its seed.
#![expect(clippy::disallowed_methods, reason = "a test reads the environment")]

use std::time::Duration;

use chaos::{plan::Plan, play::Play, verdict::judge};

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_invariant_holds_whatever_happens() {
    let seconds = number("POSTROAD_CHAOS_SECONDS", 60);
    let seed = number("POSTROAD_SEED", u64::from(std::process::id()));
    println!("POSTROAD_CHAOS_SECONDS={seconds} POSTROAD_SEED={seed}");
    let plan = Plan::new(seed, Duration::from_secs(seconds));
    let mut play = Box::pin(Play::open()).await.unwrap();
    if !play.has_clocks() {
        eprintln!("CLOCKS DO NOT JUMP in this run: libfaketime is not installed (Debian: apt-get install faketime)");
    }
    let judged = async {
        play.carry_out(&plan).await?;
        play.calm().await?;
        judge(&mut play).await
    };
    match judged.await {
        Ok(summary) => println!("seed {seed}: {summary:?}"),
        Err(error) => {
            let states = play.states().await;
            panic!("{plan}\n{}\n{states}\nseed {seed} ({seconds} s): {error}", play.logs());
        }
    }
}
