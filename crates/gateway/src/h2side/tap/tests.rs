//! Frames in pieces, and whose streams they speak of.

use super::*;

const DATA: u8 = 0;

fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
}

fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(RST_STREAM, stream, &reason.to_be_bytes())
}

#[test]
fn frames_are_followed_through_pieces_of_any_length() {
    // A payload that looks like a reset is none.
    let bytes = [
        frame(4, 0, &[]),
        reset(1, 0x0102_0304),
        frame(DATA, 3, &reset(9, 9)),
        frame(HEADERS, 5, b"x"),
        frame(HEADERS, 7, b""),
        reset(11, 1),
    ]
    .concat();
    for length in 1..=bytes.len() {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(length) {
            frames.read(piece, |stream, sign| seen.push((stream, sign)));
        }
        let expect = [
            (1, Sign::Reset(0x0102_0304)),
            (5, Sign::Answer),
            (7, Sign::Answer),
            (11, Sign::Reset(1)),
        ];
        assert_eq!(seen, expect, "in pieces of {length}");
    }
}

#[test]
fn streams_that_were_handed_to_us_are_not_told_of() {
    let mut log = Log::default();
    log.wrote(&[reset(3, 1), reset(9, 7)].concat());
    // 1, 5 and 7 are ours; 5 is answered and then reset.
    for stream in [1, 5, 7] {
        log.ours(stream);
    }
    log.wrote(&[frame(HEADERS, 5, b"x"), reset(5, 0)].concat());
    assert_eq!(log.refused(), [Sign::Reset(1), Sign::Reset(7)]);
    assert!(log.is_empty());
    // Once each: an answer and the reset behind it are one refusal.
    log.wrote(&[reset(3, 1), reset(9, 7), frame(HEADERS, 11, b"x"), reset(11, 7)].concat());
    assert_eq!(log.refused(), [Sign::Answer]);
    log.ours(13);
    log.wrote(&reset(13, 8));
    assert_eq!(log.refused(), []);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut log = Log::default();
    for stream in (1..100_000).step_by(4) {
        log.ours(stream);
        log.wrote(&reset(stream, 1));
    }
    assert!(log.signs.len() <= SIGNS && log.streams.gaps.len() <= GAPS);
    assert_eq!(log.refused(), []);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_taken(bytes: Vec<u8>, ours: Vec<u32>) {
        let mut log = Log::default();
        log.wrote(&bytes);
        for stream in ours {
            log.ours(stream);
        }
        log.refused();
    }

    #[test]
    fn ranges_are_as_good_as_a_set(steps: Vec<(bool, u32)>) {
        let mut streams = Streams::default();
        let mut seen = std::collections::BTreeSet::new();
        for (ours, id) in steps {
            // Few enough that no range is let go of.
            let id = (id % 100) * 2 + 1;
            if ours {
                // The library hands streams over in their order.
                if id > streams.last {
                    streams.reach(id);
                    seen.insert(id);
                }
            } else {
                proptest::prop_assert_eq!(streams.take(id), seen.insert(id));
            }
        }
    }
}
