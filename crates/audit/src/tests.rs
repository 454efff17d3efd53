//! Properties of the encodings: what is written is read, and nothing that is read makes them panic.

use crate::columns::ColumnsReader;
use crate::frame::{self, FrameKind, HEADER, Header, State, Usage};
use crate::leaf::{self, LeafEncoder, TEXT_BYTES};
use crate::message::Columns;
use crate::note::{Signer, TreeHead, VerifierKey};
use crate::row::Row;
use crate::tree::Tree;
use base::{Code, Event, EventId, Kind, NodeId, Outcome, Phase, RequestId, Scheme, Secret, UnixMs};
use proptest::prelude::*;
use std::net::IpAddr;

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(".{0,40}")
}

fn head() -> impl Strategy<Value = Event> {
    let numbers = (any::<[u8; 16]>(), any::<i64>(), any::<u32>(), 1u8..=5, 1u8..=3, "[a-z.]{1,20}");
    numbers.prop_map(|(id, time, node, kind, outcome, code)| {
        let kind = Kind::from_number(kind).unwrap();
        let mut event =
            Event::new(EventId(id), UnixMs(time), NodeId(node), kind, Code::read(&code));
        event.outcome = Outcome::from_number(outcome).unwrap();
        event
    })
}

fn event() -> impl Strategy<Value = Event> {
    let texts = [(); 9].map(|()| text());
    let ids = (any::<Option<[u8; 16]>>(), any::<Option<[u8; 16]>>(), any::<bool>());
    let marks = (0u8..=9, 0u8..=6, any::<Option<IpAddr>>());
    let numbers =
        (any::<u16>(), any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>(), any::<u32>());
    (head(), texts, ids, marks, numbers).prop_map(|(mut event, texts, ids, marks, numbers)| {
        let [route, method, host, path, principal, client, credential, issuer, detail] = texts;
        event.route = route.map(Into::into);
        event.method = method.map(Into::into);
        event.host = host.map(Into::into);
        event.path = path.map(Into::into);
        event.principal = principal.map(Into::into);
        event.client_id = client.map(Into::into);
        event.credential_id = credential.map(Into::into);
        event.issuer = issuer.map(Into::into);
        event.detail = detail.map(Into::into);
        let (request, trace, own) = ids;
        event.request_id = request.map(RequestId::from_bytes);
        event.trace_id = trace;
        if let (Some(id), true) = (event.request_id, own) {
            event.id = id.into();
        }
        (event.phase, event.scheme) = (Phase::from_number(marks.0), Scheme::from_number(marks.1));
        event.client_ip = marks.2;
        (event.status, event.latency_us, event.upstream_us) = (numbers.0, numbers.1, numbers.2);
        (event.bytes_in, event.bytes_out, event.count) = (numbers.3, numbers.4, numbers.5);
        event
    })
}

proptest! {
    #[test]
    fn columns_give_back_what_they_took(
        rows in proptest::collection::vec((event(), any::<[u8; 16]>()), 1..20)
    ) {
        let mut columns = Columns::new().unwrap();
        let mut reader = ColumnsReader::new(columns.schema_message()).unwrap();
        for _again in 0..2 {
            for (event, salt) in &rows {
                columns.push(&Row::from(event), salt);
            }
            let message = columns.finish(0).unwrap().clone();
            let count = u32::try_from(rows.len()).unwrap();
            prop_assert_eq!(&reader.read(&message, count).unwrap(), &rows);
            prop_assert!(ColumnsReader::new(columns.schema_message()).unwrap()
                .read(&message, count + 1).is_err());
        }
    }

    #[test]
    fn different_events_have_different_leaves(a in event(), b in event(), salt in any::<[u8; 16]>()) {
        let mut encoder = LeafEncoder::default();
        prop_assert_eq!(a == b, encoder.hash(&Row::from(&a), &salt) == encoder.hash(&Row::from(&b), &salt));
        // Each field counts.
        let mut changed = a.clone();
        changed.count = a.count.wrapping_add(1);
        prop_assert_ne!(encoder.hash(&Row::from(&a), &salt), encoder.hash(&Row::from(&changed), &salt));
        let mut changed = a.clone();
        changed.path = Some(format!("{}x", a.path.as_deref().unwrap_or("")).into());
        prop_assert_ne!(encoder.hash(&Row::from(&a), &salt), encoder.hash(&Row::from(&changed), &salt));
        let mut changed = a.clone();
        (changed.route, changed.host) = (a.host.as_deref().map(Into::into), a.route.as_deref().map(Into::into));
        prop_assert_eq!(changed == a, encoder.hash(&Row::from(&a), &salt) == encoder.hash(&Row::from(&changed), &salt));
    }

    #[test]
    fn bytes_of_anybody_make_no_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut columns = Columns::new().unwrap();
        let _found = ColumnsReader::new(&bytes);
        let mut reader = ColumnsReader::new(columns.schema_message()).unwrap();
        let _found = reader.read(&bytes, 1);
        let _found = frame::frame_at(&bytes, 0);
        let _found = Header::parse(&bytes);
        let _found = State::decode(&bytes);
        let _found = frame::parse_open(&bytes);
        let _found = TreeHead::open(&bytes, &[]);
        let _found = crate::note::read_keys(&bytes);
        let event = Event::new(EventId([0; 16]), UnixMs(0), NodeId(0), Kind::Admin, base::code::OK);
        columns.push(&Row::from(&event), &[0; 16]);
        let mut message = columns.finish(0).unwrap().clone();
        for (at, byte) in bytes.iter().enumerate() {
            let len = message.len();
            message[at * 7919 % len] ^= byte;
        }
        let mut reader = ColumnsReader::new(columns.schema_message()).unwrap();
        let _found = reader.read(&message, 1);
    }
}

#[test]
fn a_leaf_is_what_its_version_says() {
    let id = RequestId::from_bytes([0x11; 16]);
    let mut event =
        Event::new(id.into(), UnixMs(0x0102), NodeId(3), Kind::Decision, base::code::OK);
    event.request_id = Some(id);
    event.status = 200;
    event.path = Some("/a".into());
    let salt = [0x22; 16];
    let mut expect = vec![0, 1];
    expect.extend_from_slice(&[2, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2]);
    expect.extend_from_slice(&[3, 0, 16]);
    expect.extend_from_slice(&[0x11; 16]);
    expect.extend_from_slice(&[4, 0, 4, 0, 0, 0, 3, 5, 0, 1, 1, 6, 0, 1, 1, 7, 0, 2]);
    expect.extend_from_slice(b"ok");
    expect.extend_from_slice(&[12, 0, 32]);
    let commitment = [&salt[..], &[12], b"/a"].concat();
    expect.extend_from_slice(&crate::hash::sha256(&commitment));
    expect.extend_from_slice(&[19, 0, 2, 0, 200]);
    let mut encoder = LeafEncoder::default();
    assert_eq!(encoder.hash(&Row::from(&event), &salt), crate::hash::sha256(&expect));
}

#[test]
fn long_text_is_cut_at_a_character() {
    let mut event = Event::new(EventId([0; 16]), UnixMs(0), NodeId(0), Kind::Admin, base::code::OK);
    event.detail = Some("é".repeat(TEXT_BYTES).into());
    event.route = Some("x".repeat(TEXT_BYTES).into());
    leaf::bound(&mut event);
    let detail = event.detail.unwrap();
    assert!(detail.len() <= TEXT_BYTES && detail.len() > TEXT_BYTES - 5 && detail.ends_with("é…"));
    assert_eq!(event.route.unwrap().len(), TEXT_BYTES);
}

#[test]
fn any_changed_bit_of_a_frame_shows() {
    let tree = Tree::default();
    let mut frame = vec![0; HEADER];
    frame.extend_from_slice(b"a body that is covered");
    Header::new(FrameKind::Batch, &tree, Usage::default(), (1, 2)).seal(&mut frame).unwrap();
    assert!(frame::frame_at(&frame, 0).unwrap().is_some());
    for bit in 0..frame.len() * 8 {
        let mut changed = frame.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(frame::frame_at(&changed, 0).is_err(), "bit {bit}");
    }
    assert!(!frame::header_after(&frame, 0));
    assert!(frame::header_after(&[&frame[5..], &frame[..]].concat(), 0));
}

#[test]
fn a_tree_head_is_a_signed_note() {
    let signer = Signer::new(NodeId(0xabcd), &Secret::new([9; 32])).unwrap();
    let head = TreeHead { size: 42, root: [5; 32] };
    let note = signer.tree_head(&head);
    let lines: Vec<&str> = note.split('\n').collect();
    assert_eq!(lines[..2], ["portcullis/0000abcd", "42"]);
    assert!(lines[4].starts_with("— portcullis/0000abcd ") && lines[3].is_empty());
    let keys = [signer.key().clone()];
    assert_eq!(TreeHead::open(note.as_bytes(), &keys), Some(head));
    for at in 0..note.len() {
        let mut changed = note.clone().into_bytes();
        changed[at] ^= 1;
        assert_eq!(TreeHead::open(&changed, &keys), None, "byte {at}");
    }
    let text = signer.key().to_string();
    assert_eq!(text.parse::<VerifierKey>().unwrap(), *signer.key());
    assert!(text.replace("portcullis", "portculliz").parse::<VerifierKey>().is_err());
}
