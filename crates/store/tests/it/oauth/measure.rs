//! Measurements, run on demand.

use super::{grant, issued, refresh, within};
use crate::rig::Rig;
use authority::oauth::ports::{GrantStore as _, Rotated};
use base::{Clock as _, SystemClock};
use sqlx::{Connection as _, SqliteConnection};
use store::StoreUrl;

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

/// Copies of a grant and its token, so that the tree of pages has its depth.
async fn many_grants(rig: &Rig, count: u32) {
    let StoreUrl::Sqlite(path) = &rig.url else { return };
    let grant = grant();
    let first = refresh(&grant, 0);
    rig.store.create_grant(grant, Some(first), issued()).await.unwrap();
    let mut other = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
         INSERT INTO grants SELECT hex(randomblob(6)), client_id, user_id, created_at, expires_at, \
         NULL, doc FROM grants, n";
    sqlx::query(many).bind(count).execute(&mut other).await.unwrap();
    let many = "INSERT INTO refresh_tokens SELECT randomblob(32), g.id, g.client_id, g.created_at, \
         r.expires_at, r.kept_until, NULL, NULL, NULL, NULL FROM grants g, refresh_tokens r";
    sqlx::raw_sql(many).execute(&mut other).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: the same among 100,000 grants"]
async fn measure_rotation_among_many() {
    let rig = Rig::sqlite().await;
    many_grants(&rig, 100_000).await;
    let StoreUrl::Sqlite(path) = &rig.url else { unreachable!() };
    let mut other = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let some = "SELECT mac FROM refresh_tokens ORDER BY mac LIMIT 12800";
    let macs: Vec<(Vec<u8>,)> = sqlx::query_as(some).fetch_all(&mut other).await.unwrap();
    let clock = SystemClock::new();
    for round in 0..2 {
        let cpu = cpu_ms();
        let start = clock.monotonic();
        let tasks = (0..64).map(|caller| {
            let store = rig.store.clone();
            let mine = macs.iter().skip(round * 64 + caller).step_by(128);
            let mine: Vec<_> = mine.map(|(mac,)| mac.as_slice().try_into().unwrap()).collect();
            tokio::spawn(async move {
                let grant = grant();
                for mac in mine {
                    let child = refresh(&grant, 1);
                    let done = store.rotate_refresh(mac, child, within(1), issued()).await.unwrap();
                    assert!(matches!(done, Rotated::Now(_)));
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let took = clock.monotonic().since(start);
        let cpu = cpu_ms() - cpu;
        println!(
            "64 callers: {:.0} rotations a second, {:.0} µs of CPU each",
            6_400.0 / took.as_secs_f64(),
            cpu * 1_000.0 / 6_400.0
        );
    }
}

/// CPU time of this process so far, in milliseconds.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks = stat.split(' ').skip(13).take(2).map(|it| it.parse::<f64>().unwrap());
    ticks.sum::<f64>() * 10.0
}
