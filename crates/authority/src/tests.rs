//! Tests of what needs no store. The use cases over a real one stand in `store`.

use crate::text;
use crate::{Error, MasterKey, NodeIdentity, Pepper, SealError, Sealer, ShortId};
use base::IdError;
use std::os::unix::fs::PermissionsExt as _;

fn sealer(byte: &str) -> Sealer {
    Sealer::new(&MasterKey::from_hex(&byte.repeat(32)).unwrap()).unwrap()
}

#[test]
fn what_is_sealed_opens_for_its_purpose_only() {
    let sealer = sealer("01");
    let blob = sealer.seal("one", b"secret").unwrap();
    assert_ne!(blob, sealer.seal("one", b"secret").unwrap(), "each has a nonce of its own");
    assert_eq!(sealer.open("one", &blob).unwrap().expose(), b"secret");
    assert_eq!(sealer.open("two", &blob), Err(SealError::Damaged("two")));
    assert_eq!(sealer.open("one", b""), Err(SealError::Damaged("one")));
    assert_eq!(sealer.seal("one", b"").map(|it| sealer.open("one", &it).is_ok()), Ok(true));
}

#[test]
fn every_changed_or_missing_byte_of_a_blob_is_noticed() {
    let sealer = sealer("01");
    let blob = sealer.seal("one", b"secret").unwrap();
    for at in 0..blob.len() {
        let mut changed = blob.clone();
        changed[at] ^= 1;
        assert!(sealer.open("one", &changed).is_err(), "byte {at}");
        assert!(sealer.open("one", &blob[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn another_master_key_is_named() {
    let blob = sealer("01").seal("one", b"secret").unwrap();
    let refused = sealer("02").open("one", &blob).unwrap_err();
    assert!(matches!(refused, SealError::OtherKey { purpose: "one", .. }));
}

#[test]
fn a_master_key_is_made_at_the_first_start_only() {
    let folder = tempfile::tempdir().unwrap();
    let refused = MasterKey::open(folder.path(), false).unwrap_err();
    assert!(matches!(refused, SealError::MasterMissing { .. }));
    let made = MasterKey::open(folder.path(), true).unwrap();
    let blob = Sealer::new(&made).unwrap().seal("one", b"secret").unwrap();
    let again = MasterKey::open(folder.path(), true).unwrap();
    assert!(Sealer::new(&again).unwrap().open("one", &blob).is_ok(), "it is not made anew");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn an_exposed_or_malformed_master_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let write = |content: &str, mode: u32| {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        MasterKey::open(folder.path(), true).map(drop)
    };
    let good = "ab".repeat(32);
    assert_eq!(write(&good, 0o600), Ok(()));
    assert_eq!(write(&format!("{good}\n"), 0o400), Ok(()));
    assert!(matches!(write(&good, 0o640), Err(SealError::Exposed { mode: 0o640, .. })));
    for bad in ["", "ab", &"zz".repeat(32), &format!("{good}00"), &format!(" {good}")] {
        assert!(matches!(write(bad, 0o600), Err(SealError::MasterMalformed { .. })), "{bad:?}");
    }
}

#[test]
fn a_node_keeps_its_identity() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = sealer("01");
    let first = NodeIdentity::open(folder.path(), &sealer).unwrap();
    let again = NodeIdentity::open(folder.path(), &sealer).unwrap();
    assert_eq!((first.node, first.seed), (again.node, again.seed));
}

#[test]
fn secrets_do_not_show() {
    let master = MasterKey::from_hex(&"ab".repeat(32)).unwrap();
    let shown = format!("{master:?} {:?} {:?}", Pepper::new([0xab; 32]), sealer("ab"));
    assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
}

#[test]
fn rfc6749_s3_3_scope_grammar() {
    let check = |scope: &str, good: bool| {
        assert_eq!(text::scopes(&[scope.to_owned()]).is_ok(), good, "{scope:?}");
    };
    for good in ["echo:read", "!", "~", "[", "]", "https://a.example/x?y=z", &"a".repeat(128)] {
        check(good, true);
    }
    for bad in ["", " ", "a b", "a\"", "a\\", "a\u{7f}", "\u{e4}", "a\n", &"a".repeat(129)] {
        check(bad, false);
    }
    assert!(text::scopes(&vec!["a".to_owned(); 101]).is_err());
}

#[test]
fn names_do_not_hide_what_a_terminal_shows() {
    for bad in ["", "  ", "a\nb", "a\u{1b}[2K", "a\u{202e}b", "a\u{200b}", &"a".repeat(101)] {
        assert!(matches!(text::line("name", bad, 100), Err(Error::Invalid { .. })), "{bad:?}");
    }
    assert_eq!(text::line("name", " \u{e4} b ", 100).unwrap(), "\u{e4} b");
}

#[test]
fn ids_are_twelve_base62_characters() {
    assert_eq!("0123456789Az".parse::<ShortId>().unwrap().as_str(), "0123456789Az");
    for bad in ["", "0123456789A", "0123456789Azz", "0123456789A-", "01234567\u{e4}Az"] {
        assert_eq!(bad.parse::<ShortId>(), Err(IdError::Malformed), "{bad:?}");
    }
}

/// Runs a use case over a store that refuses everything: what must be refused before the store is asked.
mod refused {
    use crate::*;
    use base::{Event, FakeClock, NodeId, UnixMs};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<Event>>);

    fn never<T>() -> Answer<'static, T> {
        Box::pin(async { panic!("the store was asked") })
    }

    impl AuditLog for Recorder {
        fn record(&self, event: Event) -> Answer<'_, ()> {
            self.0.lock().unwrap().push(event);
            Box::pin(async { Ok(()) })
        }
    }
    impl KeyStore for Recorder {
        fn create_key(&self, _: KeyRecord, _: Event) -> Answer<'_, i64> {
            never()
        }
        fn key(&self, _: KeyId) -> Answer<'_, Option<KeyRecord>> {
            never()
        }
        fn keys(&self, _: KeyFilter, _: Page) -> Answer<'_, Vec<KeyRecord>> {
            never()
        }
        fn revoke_key(
            &self,
            _: KeyId,
            _: UnixMs,
            _: Option<String>,
            _: Event,
        ) -> Answer<'_, Option<(KeyRecord, i64)>> {
            never()
        }
    }
    impl BlockStore for Recorder {
        fn put_block(&self, _: Block, _: Event) -> Answer<'_, (Block, i64)> {
            never()
        }
        fn blocks(&self, _: UnixMs, _: Page) -> Answer<'_, Vec<Block>> {
            never()
        }
        fn remove_block(&self, _: BlockId, _: Event) -> Answer<'_, Option<(Block, i64)>> {
            never()
        }
    }
    impl IpStore for Recorder {
        fn put_ip(&self, _: IpEntry, _: Event) -> Answer<'_, (IpEntry, i64)> {
            never()
        }
        fn ips(&self, _: Option<String>, _: UnixMs, _: Page) -> Answer<'_, Vec<IpEntry>> {
            never()
        }
        fn remove_ip(&self, _: IpId, _: Event) -> Answer<'_, Option<(IpEntry, i64)>> {
            never()
        }
    }

    fn stage() -> (Arc<Recorder>, Authority) {
        let recorder = Arc::new(Recorder::default());
        let clock = Arc::new(FakeClock::at(UnixMs(1)));
        let pepper = Arc::new(Pepper::new([0; 32]));
        let authority = Authority::new(recorder.clone(), clock, pepper, NodeId(1));
        (recorder, authority)
    }

    #[tokio::test]
    async fn keys_that_break_a_rule() {
        let (recorder, authority) = stage();
        let good = CreateKey {
            name: "n".to_owned(),
            env: "live".to_owned(),
            scopes: vec![],
            expires: None,
        };
        let mut asks = Vec::new();
        for env in ["", "Live", "a_b", "abcdefghijklmnopq"] {
            asks.push(CreateKey { env: env.to_owned(), ..good.clone() });
        }
        let longest = Duration::from_secs(3650 * 24 * 3600);
        for expires in [Duration::ZERO, longest + Duration::from_secs(1), Duration::MAX] {
            asks.push(CreateKey { expires: Some(expires), ..good.clone() });
        }
        asks.push(CreateKey { name: "\u{1b}".to_owned(), ..good.clone() });
        asks.push(CreateKey { scopes: vec!["a b".to_owned()], ..good });
        let count = asks.len();
        for ask in asks {
            let refused = authority.create_key(&Actor::local("uid:0"), ask).await;
            assert!(matches!(refused, Err(Error::Invalid { .. })));
        }
        assert_eq!(recorder.0.lock().unwrap().len(), count);
    }

    #[tokio::test]
    async fn networks_that_are_too_wide_or_have_host_bits() {
        let (_, authority) = stage();
        for net in ["0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/15", "10.0.0.1/24", "::ffff:0:0/96"]
        {
            let ask = AllowIp {
                list: "office".to_owned(),
                net: net.parse().unwrap(),
                expires: Duration::from_secs(60),
                note: None,
            };
            let refused = authority.allow_ip(&Actor::local("uid:0"), ask).await;
            assert!(matches!(refused, Err(Error::Invalid { field: "address", .. })), "{net}");
        }
    }

    #[tokio::test]
    async fn blocks_of_whole_credentials_and_their_text_is_not_recorded() {
        let (recorder, authority) = stage();
        for value in ["pcl_live_0123456789Az_x", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "", "a\0"] {
            let ask = AddBlock {
                kind: BlockKind::Token,
                issuer: None,
                value: value.to_owned(),
                expires: None,
                reason: None,
            };
            let refused = authority.add_block(&Actor::local("uid:0"), ask).await;
            assert!(matches!(refused, Err(Error::Invalid { field: "value", .. })), "{value:?}");
        }
        let recorded = format!("{:?}", recorder.0.lock().unwrap());
        assert!(!recorded.contains("pcl_live") && !recorded.contains("eyJhbGci"));
    }
}
