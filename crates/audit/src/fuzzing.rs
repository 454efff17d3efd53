//! Doors to the decoders, for the fuzz targets only; no part of the interface.
//!
//! Owns: for each decoder, whether what it read is written and read the same.
//!
//! Never does: judge what is right; that is said by the fuzz targets.

use crate::columns::ColumnsReader;
use crate::disk::Disk;
use crate::error::LedgerError;
use crate::frame::{self, FrameKind, HEADER, Header, State};
use crate::leaf::LeafEncoder;
use crate::message::Columns;
use crate::note::{self, TreeHead, VerifierKey};
use crate::recover;
use crate::row::Row;
use base::Event;
use std::path::Path;

/// Where a header says how long its body is.
const BODY_LEN: std::ops::Range<usize> = 8..12;
/// Where it says what the body's checksum is.
const BODY_CRC: std::ops::Range<usize> = HEADER - 8..HEADER - 4;
/// Where its own stands.
const HEADER_CRC: std::ops::Range<usize> = HEADER - 4..HEADER;

/// Gives every frame of a segment the checksums that fit it, as whoever writes a segment anew would.
pub fn reseal(segment: &mut [u8]) {
    let mut rest = segment;
    while let Some((head, behind)) = rest.split_first_chunk_mut::<HEADER>() {
        let len =
            head.get(BODY_LEN).and_then(|it| it.first_chunk()).copied().map(u32::from_be_bytes);
        let len = usize::try_from(len.unwrap_or(0)).unwrap_or(usize::MAX);
        let Some((body, next)) = behind.split_at_mut_checked(len) else { return };
        put(head, BODY_CRC, crc32fast::hash(body));
        let crc = crc32fast::hash(head.get(..HEADER_CRC.start).unwrap_or_default());
        put(head, HEADER_CRC, crc);
        rest = next;
    }
}

fn put(head: &mut [u8; HEADER], range: std::ops::Range<usize>, crc: u32) {
    if let Some(place) = head.get_mut(range) {
        place.copy_from_slice(&crc.to_be_bytes());
    }
}

/// Reads the frames of a segment one after another; whether each that was read is written the same.
pub fn frames_hold(segment: &[u8]) -> bool {
    let mut offset = 0;
    while let Ok(Some((header, body))) = frame::frame_at(segment, offset) {
        let end = offset + header.frame_len();
        let found = segment.get(offset..end).unwrap_or_default();
        let mut written = found.to_vec();
        if header.seal(&mut written).is_err() || written != found || !state_holds(&header, body) {
            return false;
        }
        offset = end;
    }
    let _torn = frame::header_after(segment, offset);
    true
}

fn state_holds(header: &Header, body: &[u8]) -> bool {
    let mut written = Vec::new();
    match header.kind {
        FrameKind::Batch => return true,
        FrameKind::Open => match frame::parse_open(body) {
            Ok((schema, state)) => frame::open_body(schema, &state, &mut written),
            Err(_) => return true,
        },
        FrameKind::Close => match State::decode(body) {
            Ok(state) => state.encode(&mut written),
            Err(_) => return true,
        },
    }
    written == body
}

/// Reads the events of one message; nothing when they cannot be read. Else whether there are as many as was
/// said, and they are written and read the same.
pub fn rows(message: &[u8], count: u32) -> Option<(Vec<Event>, bool)> {
    let mut columns = Columns::new().ok()?;
    let mut reader = ColumnsReader::new(columns.schema_message()).ok()?;
    let read = reader.read(message, count).ok()?;
    let mut leaves = LeafEncoder::default();
    for (event, salt) in &read {
        let row = Row::from(event);
        columns.push(&row, salt);
        let _leaf = leaves.hash(&row, salt);
    }
    let same = |written: &[u8]| {
        let mut reader = ColumnsReader::new(Columns::new().ok()?.schema_message()).ok()?;
        reader.read(written, count).ok().map(|again| again == read)
    };
    let holds = columns.finish(0).ok().and_then(|written| same(written)).unwrap_or(false);
    let holds = holds && u32::try_from(read.len()) == Ok(count);
    Some((read.into_iter().map(|(event, _)| event).collect(), holds))
}

/// Whether a segment's schema message is taken.
pub fn schema(message: &[u8]) -> bool {
    ColumnsReader::new(message).is_ok()
}

/// Whether a signed tree head is taken, and the file `keys` is written as it was read.
pub fn notes(bytes: &[u8], keys: &[VerifierKey]) -> (bool, bool) {
    let read =
        note::read_keys(bytes).is_none_or(|keys| note::write_keys(&keys).as_bytes() == bytes);
    (TreeHead::open(bytes, keys).is_some(), read)
}

/// Finds the end of a ledger as a start does: how many events there are.
///
/// # Errors
/// As at a start.
pub fn recover(disk: &dyn Disk, dir: &Path, key: &VerifierKey) -> Result<u64, LedgerError> {
    let keys = recover::keys(disk, dir, key)?;
    recover::recover(disk, dir, &keys).map(|it| it.found.tree.size())
}
