//! Measurements, run on demand.

use super::{grant, issued, refresh, within};
use crate::rig::Rig;
use authority::oauth::ports::{GrantStore as _, Rotated};
use base::{Clock as _, SystemClock};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: how many refresh tokens are rotated in a second by so many callers"]
async fn measure_rotation() {
    for (name, rig) in [("sqlite", Rig::sqlite().await), ("postgres", Rig::postgres().await)] {
        for callers in [1u32, 16, 128] {
            let (clock, each) = (SystemClock::new(), 20_000 / (callers + 40));
            let mut chains = Vec::new();
            for _ in 0..callers {
                let grant = grant();
                let first = refresh(&grant, 0);
                rig.store.create_grant(grant.clone(), Some(first.clone()), issued()).await.unwrap();
                chains.push((grant, first));
            }
            let start = clock.monotonic();
            let tasks = chains.into_iter().map(|(grant, mut token)| {
                let store = rig.store.clone();
                tokio::spawn(async move {
                    for ms in 0..i64::from(each) {
                        let child = refresh(&grant, ms);
                        let done = store
                            .rotate_refresh(token.mac, child.clone(), within(ms), issued())
                            .await;
                        assert!(matches!(done.unwrap(), Rotated::Now(_)));
                        token = child;
                    }
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap();
            }
            let took = clock.monotonic().since(start);
            let rate = f64::from(callers * each) / took.as_secs_f64();
            println!("{name}, {callers} callers: {rate:.0} rotations a second");
        }
    }
}
