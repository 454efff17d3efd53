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
    fn a_leaf_says_all_of_its_event(mut event in event(), salt in any::<[u8; 16]>(), same in any::<[bool; 2]>()) {
        if let Some(id) = event.request_id {
            event.time = if same[0] { id.time() } else { event.time };
            event.node = if same[1] { id.node() } else { event.node };
        }
        let mut encoder = LeafEncoder::default();
        let (read, commitment) = read_leaf(encoder.leaf(&Row::from(&event), &salt));
        let (mut personal, mut rest) = (salt.to_vec(), event.clone());
        let ip = event.client_ip.map(|ip| match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        });
        let path = rest.path.take().map(|it| it.as_bytes().to_vec());
        let principal = rest.principal.take().map(|it| it.as_bytes().to_vec());
        rest.client_ip = None;
        for (tag, value) in [(12, path), (13, ip), (14, principal)] {
            let Some(value) = value else { continue };
            let len = u16::try_from(value.len()).unwrap();
            personal.push(tag);
            if len < 128 { personal.push(value.len() as u8) } else { personal.extend((len | 0x8000).to_be_bytes()) }
            personal.extend(value);
        }
        prop_assert_eq!(read, rest);
        prop_assert_eq!(commitment, (personal.len() > 16).then(|| crate::hash::sha256(&personal).to_vec()));
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

/// Reads a leaf by the words of its module, without what is personal; and the commitment to that.
fn read_leaf(leaf: &[u8]) -> (Event, Option<Vec<u8>>) {
    let (version, mut rest) = leaf.split_first().unwrap();
    assert_eq!(*version, 2);
    let mut fields = std::collections::BTreeMap::new();
    while let [tag, more @ ..] = rest {
        let (len, more) = match more {
            [high, low, more @ ..] if *high >= 128 => {
                (usize::from(u16::from_be_bytes([high & 127, *low])), more)
            }
            [len, more @ ..] => (usize::from(*len), more),
            [] => panic!("no length"),
        };
        assert!(fields.last_key_value().is_none_or(|(last, _)| last < tag), "tags ascend");
        let (value, more) = more.split_at(len);
        fields.insert(*tag, value.to_vec());
        rest = more;
    }
    let text = |tag: u8| fields.get(&tag).map(|it| String::from_utf8(it.clone()).unwrap());
    let sixteen = |tag: u8| fields.get(&tag).map(|it| <[u8; 16]>::try_from(it.as_slice()).unwrap());
    let number = |tag: u8| {
        let value = fields.get(&tag)?;
        assert_ne!(value.first(), Some(&0), "no leading zeros");
        Some(value.iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte)))
    };
    let small = |tag: u8| u32::try_from(number(tag).unwrap_or(0)).unwrap();
    let byte = |tag: u8| u8::try_from(small(tag)).unwrap();
    let request_id = sixteen(3).map(RequestId::from_bytes);
    let id = sixteen(1).map_or_else(|| request_id.unwrap().into(), EventId);
    let time = number(2).map_or_else(|| request_id.unwrap().time(), |it| UnixMs(it as i64));
    let node = fields.contains_key(&4).then(|| NodeId(small(4)));
    let node = node.unwrap_or_else(|| request_id.unwrap().node());
    let kind = Kind::from_number(byte(5)).unwrap();
    let event = Event {
        request_id,
        outcome: Outcome::from_number(byte(6)).unwrap(),
        phase: Phase::from_number(byte(8)),
        route: text(9).map(Into::into),
        method: text(10).map(Into::into),
        host: text(11).map(Into::into),
        client_id: text(15).map(Into::into),
        credential_id: text(16).map(Into::into),
        issuer: text(17).map(Into::into),
        scheme: Scheme::from_number(byte(18)),
        status: u16::try_from(small(19)).unwrap(),
        latency_us: small(20),
        upstream_us: small(21),
        bytes_in: number(22).unwrap_or(0),
        bytes_out: number(23).unwrap_or(0),
        count: if fields.contains_key(&24) { small(24) } else { 1 },
        detail: text(25).map(Into::into),
        trace_id: sixteen(26),
        ..Event::new(id, time, node, kind, Code::read(&text(7).unwrap()))
    };
    (event, fields.get(&12).cloned())
}

fn leaf_of(event: &Event, salt: &[u8; 16], expect: &[&[u8]]) {
    let leaf = [&[&[0, 2][..]], expect].concat().concat();
    let hash = LeafEncoder::default().hash(&Row::from(event), salt);
    assert_eq!(hash, crate::hash::sha256(&leaf));
}

#[test]
fn a_leaf_is_what_its_version_says() {
    let id = RequestId::from_bytes([0x11; 16]);
    let mut event =
        Event::new(id.into(), UnixMs(0x0102), NodeId(3), Kind::Decision, base::code::OK);
    event.request_id = Some(id);
    event.status = 200;
    event.latency_us = 0x0203;
    event.path = Some("/a".into());
    event.client_ip = Some([192, 0, 2, 1].into());
    event.principal = Some("alice".into());
    let salt = [0x22; 16];
    let commitment =
        |fields: &[&[u8]]| crate::hash::sha256(&[&salt[..], &fields.concat()].concat());
    let (path, address, principal) = (b"\x0c\x02/a", b"\x0d\x04\xc0\x00\x02\x01", b"\x0e\x05alice");
    let middle = b"\x05\x01\x01\x06\x01\x01\x07\x02ok";
    let request = [&[3, 16][..], &[0x11; 16]].concat();
    let own_time_and_node: [&[u8]; 3] = [b"\x02\x02\x01\x02", &request, b"\x04\x01\x03"];
    let numbers = b"\x13\x01\xc8\x14\x02\x02\x03";
    let all = commitment(&[path, address, principal]);
    leaf_of(
        &event,
        &salt,
        &[&own_time_and_node[..], &[middle, b"\x0c\x20", &all, numbers]].concat(),
    );
    // Time and node are those of the request's id.
    (event.time, event.node) = (id.time(), id.node());
    leaf_of(&event, &salt, &[&request, middle, b"\x0c\x20", &all, numbers]);
    (event.path, event.principal, event.latency_us) = (None, None, 0);
    let address = commitment(&[address]);
    leaf_of(&event, &salt, &[&request, middle, b"\x0c\x20", &address, b"\x13\x01\xc8"]);
    // Nothing personal, no request, a length of two bytes.
    (event.client_ip, event.request_id, event.status) = (None, None, 0);
    (event.time, event.node, event.count) = (UnixMs(0), NodeId(0x0100), 0);
    event.detail = Some("d".repeat(300).into());
    let id = [&[1, 16][..], &[0x11; 16]].concat();
    let long = [b"\x18\x00\x19\x81\x2c", "d".repeat(300).as_bytes()].concat();
    leaf_of(&event, &salt, &[&id, b"\x02\x00\x04\x02\x01\x00", middle, &long]);
    // 127 is the longest that one byte tells.
    event.count = 1;
    for (len, tells) in [(127, &b"\x19\x7f"[..]), (128, b"\x19\x80\x80")] {
        event.detail = Some("d".repeat(len).into());
        let detail = "d".repeat(len);
        leaf_of(
            &event,
            &salt,
            &[&id, b"\x02\x00\x04\x02\x01\x00", middle, tells, detail.as_bytes()],
        );
    }
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
