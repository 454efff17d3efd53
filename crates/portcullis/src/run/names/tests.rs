//! Names under a clock that is moved by hand.

use super::*;
use crate::config::{Config, Nothing};
use crate::run::{compile, state};
use access::iplist::Verdict;
use audit::{Ledger, LedgerOptions, Reader};
use base::{BoxFuture, FakeClock, NodeId, Secret, UnixMs};
use std::path::Path;
use std::sync::Mutex;

/// Says what it was told to say, and counts how often it was asked.
#[derive(Debug)]
struct Script(Mutex<(Result<Resolved, ResolveError>, u32)>);

impl Resolve for Script {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Resolved, ResolveError>> {
        let mut script = self.0.lock().unwrap();
        script.1 += 1;
        let answer = script.0.clone();
        Box::pin(async { answer })
    }
}

const LIST: &str = "version = 1\n[[listener]]\nname = \"api\"\nbind = \"127.0.0.1:8000\"\n\
    [[ip_list]]\nname = \"office\"\nallow = [\"dns:vpn.test\"]\n[[ip_list]]\nname = \"empty\"\nallow = []\n";

struct Stage {
    names: Names,
    clock: Arc<FakeClock>,
    script: Arc<Script>,
    ledger: Arc<Ledger>,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::at(UnixMs(1_000_000)));
        let script = Arc::new(Script(Mutex::new((Err(ResolveError::NoAddress), 0))));
        let options = LedgerOptions::new(
            folder.path().into(),
            NodeId(1),
            Secret::new([7; 32]),
            clock.clone(),
        );
        let ledger = Arc::new(Ledger::open(options, 1).unwrap().0);
        let config = Config::read(LIST, Path::new("/"), &Nothing).config.unwrap();
        let compiled = compile::compile(&config, None, &gateway::Metrics::new()).unwrap();
        let names = Names {
            state: Arc::new(State::new(state::Loaded::default(), compiled)),
            resolve: script.clone(),
            clock: clock.clone(),
            events: Events::new(ledger.clone(), clock.clone(), NodeId(1)),
            known: HashMap::new(),
        };
        Self { names, clock, script, ledger, folder }
    }

    /// The name has these addresses from now on, with records that live for `ttl` seconds.
    fn is(&self, addresses: &[&str], ttl: u64) {
        let addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
        let ttl = Duration::from_secs(ttl);
        self.script.0.lock().unwrap().0 = Ok(Resolved { addresses, ttl });
    }

    fn is_silent(&self) {
        let silent = ResolveError::Unreachable("no answer in time".to_owned());
        self.script.0.lock().unwrap().0 = Err(silent);
    }

    /// Lets time pass and looks; how often the resolver was asked since.
    async fn after(&mut self, seconds: u64) -> u32 {
        let before = self.script.0.lock().unwrap().1;
        self.clock.advance(Duration::from_secs(seconds));
        self.names.look().await;
        self.script.0.lock().unwrap().1 - before
    }

    fn holds(&self, address: &str) -> bool {
        let snapshot = self.names.state.snapshots.load();
        let office = snapshot.lists.iter().find(|it| *it.name == *"office").unwrap();
        let verdict = office.list.judge(address.parse().unwrap(), self.clock.now());
        matches!(verdict, Verdict::Allowed { .. })
    }

    /// The details of all records with `code`. Ends the stage: the ledger is closed.
    fn recorded(self, code: &str) -> Vec<String> {
        self.ledger.close().unwrap();
        let sql = format!("SELECT detail FROM events WHERE code = '{code}'");
        let rows = Reader::new(self.folder.path().into()).query(&sql).unwrap();
        rows.iter().map(|row| row["detail"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn lifetimes_are_clamped_to_between_30_and_300_seconds() {
    for (ttl, early, due) in [(5, 29, 1), (0, 29, 1), (60, 59, 1), (86_400, 299, 1)] {
        let mut stage = Stage::new();
        stage.is(&["192.0.2.7"], ttl);
        assert_eq!(stage.after(0).await, 1);
        stage.is(&["192.0.2.8"], ttl);
        assert_eq!(stage.after(early).await, 0, "{ttl} s");
        assert!(stage.holds("192.0.2.7") && !stage.holds("192.0.2.8"));
        assert_eq!(stage.after(due).await, 1, "{ttl} s");
        assert!(!stage.holds("192.0.2.7") && stage.holds("192.0.2.8"));
        let expect = ["vpn.test: from 192.0.2.7 to 192.0.2.8"];
        assert_eq!(stage.recorded("ip.name_changed"), expect);
    }
}

#[tokio::test]
async fn the_last_good_answer_is_kept_for_the_grace_and_no_longer() {
    let mut stage = Stage::new();
    assert!(!stage.holds("192.0.2.7"), "nothing is known yet");
    stage.is(&["192.0.2.7", "2001:db8::7"], 60);
    stage.after(0).await;
    stage.is_silent();
    assert_eq!(stage.after(60).await, 1);
    assert_eq!(stage.after(9).await, 0, "tried again after 10 s");
    assert_eq!(stage.after(1).await, 1);
    stage.after(3530).await;
    assert!(stage.holds("192.0.2.7") && stage.holds("2001:db8::7"));
    stage.after(10).await;
    assert!(!stage.holds("192.0.2.7") && !stage.holds("2001:db8::7"), "the hour is over");
    stage.is(&["192.0.2.7"], 60);
    stage.after(10).await;
    assert!(stage.holds("192.0.2.7"));
    // Said once, not at each attempt.
    let expect = ["vpn.test: no resolver answered: no answer in time"];
    assert_eq!(stage.recorded("ip.name_unresolved"), expect);
}

#[tokio::test]
async fn a_name_that_comes_back_is_asked_for_before_it_counts() {
    let mut stage = Stage::new();
    let with_name = LIST.to_owned();
    let without = LIST.replace("\"dns:vpn.test\"", "");
    stage.is(&["192.0.2.7"], 300);
    stage.after(0).await;
    assert!(stage.holds("192.0.2.7"));
    for (text, holds) in [(without, false), (with_name, false)] {
        let config = Config::read(&text, Path::new("/"), &Nothing).config.unwrap();
        let compiled = compile::compile(&config, None, &gateway::Metrics::new()).unwrap();
        stage.names.state.configure(compiled.policy, compiled.lists, compiled.self_service);
        stage.is_silent();
        stage.after(1).await;
        assert_eq!(stage.holds("192.0.2.7"), holds);
    }
    stage.is(&["192.0.2.7"], 300);
    stage.after(10).await;
    assert!(stage.holds("192.0.2.7"));
}
