//! Walks over the frames of a ledger that may be growing.
//!
//! Never does: hold a segment in memory, or skip what is damaged: a reader that left out records without saying
//! so would be worse than none.

use crate::columns::ColumnsReader;
use crate::disk::Disk;
use crate::error::{Malformed, ReadError};
use crate::frame::{self, FrameKind, HEADER, Header};
use crate::layout;
use base::Event;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One segment, read frame by frame.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    first: u64,
    /// Where the next frame begins.
    offset: u64,
    schema: Vec<u8>,
    began_ms: i64,
}

/// A frame that holds events, not yet read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) header: Header,
    offset: u64,
}

impl SegmentReader {
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, first: u64) -> Result<Self, ReadError> {
        let path = layout::segment(dir, first);
        let mut segment = Self {
            disk: Arc::clone(disk),
            path,
            first,
            offset: 0,
            schema: Vec::new(),
            began_ms: 0,
        };
        let head = segment.header()?.filter(|header| header.kind == FrameKind::Open);
        let header = head.ok_or_else(|| segment.damaged(Malformed::Header))?;
        let body = segment.body(&Found { header, offset: 0 })?;
        let (schema, _) = frame::parse_open(&body).map_err(|error| segment.damaged(error))?;
        (segment.schema, segment.began_ms) = (schema.to_vec(), header.times.0);
        segment.offset = header.frame_len() as u64;
        Ok(segment)
    }

    /// When it was begun.
    pub(crate) fn began_ms(&self) -> i64 {
        self.began_ms
    }

    /// The index of its first event.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The next frame with events that is complete; nothing at the end, for now.
    pub(crate) fn next(&mut self) -> Result<Option<Found>, ReadError> {
        let Some(header) = self.header()? else { return Ok(None) };
        if header.kind != FrameKind::Batch {
            return Ok(None);
        }
        let found = Found { header, offset: self.offset };
        let end = self.offset + header.frame_len() as u64;
        if self.disk.len(&self.path)? < end {
            return Ok(None);
        }
        self.offset = end;
        Ok(Some(found))
    }

    /// The events of a frame.
    pub(crate) fn events(&self, found: &Found) -> Result<Vec<Event>, ReadError> {
        let body = self.body(found)?;
        let mut reader = ColumnsReader::new(&self.schema).map_err(|error| self.damaged(error))?;
        let rows = reader.read(&body, found.header.count).map_err(|error| self.damaged(error))?;
        Ok(rows.into_iter().map(|(event, _)| event).collect())
    }

    fn header(&self) -> Result<Option<Header>, ReadError> {
        let bytes = self.disk.read_range(&self.path, self.offset, HEADER)?;
        if bytes.len() < HEADER {
            return Ok(None);
        }
        Header::parse(&bytes).map(Some).map_err(|error| self.damaged(error))
    }

    fn body(&self, found: &Found) -> Result<Vec<u8>, ReadError> {
        let at = found.offset + HEADER as u64;
        let body = self.disk.read_range(&self.path, at, found.header.body_len as usize)?;
        found.header.check(&body).map_err(|error| self.damaged(error))?;
        Ok(body)
    }

    fn damaged(&self, what: Malformed) -> ReadError {
        ReadError::Damaged { file: self.path.clone(), offset: self.offset, what }
    }
}

/// The segments in order, each opened when its turn comes.
pub(crate) fn segments(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<SegmentReader>, ReadError> {
    let firsts = layout::segments(disk.as_ref(), dir)?;
    firsts.iter().map(|first| SegmentReader::open(disk, dir, *first)).collect()
}

/// What comes, frame by frame.
#[derive(Debug)]
pub struct Tail {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment: Option<SegmentReader>,
}

impl Tail {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf, segment: Option<SegmentReader>) -> Self {
        Self { disk, dir, segment }
    }

    /// The events of the next frame; an empty list when nothing has come since. Blocks for the disk only:
    /// whoever follows asks again after a while.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn next_events(&mut self) -> Result<Vec<Event>, ReadError> {
        loop {
            if let Some(segment) = &mut self.segment
                && let Some(found) = segment.next()?
            {
                return segment.events(&found);
            }
            let after = self.segment.as_ref().map(SegmentReader::first);
            let firsts = match layout::segments(self.disk.as_ref(), &self.dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                other => other?,
            };
            let next = firsts.into_iter().find(|first| after.is_none_or(|after| *first > after));
            let Some(next) = next else { return Ok(Vec::new()) };
            // What was written to the segment before the next one began is read first.
            if let Some(segment) = &mut self.segment
                && let Some(found) = segment.next()?
            {
                return segment.events(&found);
            }
            self.segment = Some(SegmentReader::open(&self.disk, &self.dir, next)?);
        }
    }
}
