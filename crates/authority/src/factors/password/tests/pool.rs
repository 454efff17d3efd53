//! How much of the machine hashing takes.

use crate::factors::password::pool::{Busy, Pool};
use base::{Clock as _, FakeClock, UnixMs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_frees_itself() {
    let pool = Arc::new(Pool::new(1, 1));
    let (go, wait) = mpsc::channel::<()>();
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(move || wait.recv().is_ok()).await }
    });
    let second = tokio::spawn({
        let pool = pool.clone();
        async move { pool.run(|| 2).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(pool.run(|| 3).await, Err(Busy));
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap(), Ok(true));
    assert_eq!(second.await.unwrap(), Ok(2));
    assert_eq!(pool.run(|| 4).await, Ok(4));
}

/// How many of so many logins at once were refused, and how many hashed side by side at most.
async fn crowd(cores: usize, logins: usize) -> (usize, usize) {
    let clock = Arc::new(FakeClock::at(UnixMs(0)));
    let pool = Arc::new(Pool::for_cores(cores, clock));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(std::sync::Mutex::new(wait));
    let tasks: Vec<_> = (0..logins)
        .map(|_| {
            let (pool, now, most, wait) = (pool.clone(), now.clone(), most.clone(), wait.clone());
            tokio::spawn(async move {
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // Until the test lets one go on; each takes one word.
                    let went = wait.lock().unwrap().recv().is_ok();
                    now.fetch_sub(1, Ordering::SeqCst);
                    went
                };
                pool.run(work).await
            })
        })
        .collect();
    for _ in 0..logins {
        go.send(()).unwrap();
    }
    let mut refused = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(went) => assert!(went),
            Err(Busy) => refused += 1,
        }
    }
    (refused, most.load(Ordering::SeqCst))
}

#[tokio::test]
async fn of_a_thousand_logins_half_of_the_cores_hash_and_the_rest_is_asked_to_come_again() {
    for (cores, parallel) in [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (64, 4)] {
        let pool = Pool::for_cores(cores, Arc::new(FakeClock::at(UnixMs(0))));
        assert_eq!(pool.turns(), parallel, "{cores} cores");
        let (refused, most) = crowd(cores, 1000).await;
        assert!(most <= parallel && most > 0, "{most} at once on {cores} cores");
        // The queue holds 64, and a test that is slow to begin leaves room for more.
        assert!(refused <= 1000 - 64 - parallel, "{refused} refused on {cores} cores");
    }
}

/// How long two hashes take after each other, of 25 ms each by the pool's clock, which alone goes on meanwhile.
async fn two_hashes(cores: usize) -> Duration {
    let clock = Arc::new(FakeClock::at(UnixMs(1_000_000)));
    let pool = Pool::for_cores(cores, clock.clone());
    let start = Instant::now();
    for _ in 0..2 {
        let clock = clock.clone();
        let work = move || {
            clock.advance(Duration::from_millis(25));
            clock.monotonic()
        };
        pool.run(work).await.unwrap();
    }
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn on_one_core_a_rest_as_long_as_the_hash_comes_before_the_next() {
    let rested = two_hashes(1).await;
    assert!((25..=30).contains(&rested.as_millis()), "{rested:?}");
    assert_eq!(two_hashes(2).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_rest_ends_even_when_the_clock_has_leapt() {
    let clock = Arc::new(FakeClock::at(UnixMs(1_000_000)));
    let pool = Pool::for_cores(1, clock.clone());
    let start = Instant::now();
    pool.run(move || clock.advance(Duration::from_secs(24 * 60 * 60))).await.unwrap();
    pool.run(|| ()).await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_behind_hashes_that_take_long() {
    let clock = Arc::new(FakeClock::at(UnixMs(0)));
    let pool = Arc::new(Pool::for_cores(1, clock.clone()));
    let start = Instant::now();
    // A rest of two seconds after each; the sixth would wait for ten.
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (pool, clock) = (pool.clone(), clock.clone());
            tokio::spawn(
                async move { pool.run(move || clock.advance(Duration::from_secs(60))).await },
            )
        })
        .collect();
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.unwrap().is_ok());
    }
    assert_eq!(done, [true, true, true, true, true, false, false, false]);
    assert!(start.elapsed() <= Duration::from_secs(11), "{:?}", start.elapsed());
}
