//! The columns of events, and how they are read back from Arrow record batches. One batch is one frame; the frames'
//! batches, after the schema of the segment, are an Arrow IPC stream. `message` writes them.

use crate::error::Malformed;
use crate::leaf::{SALT_BYTES, Salt};
use crate::row::Row;
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::{StreamDecoder, StreamReader};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use base::{Code, Event, EventId, Kind, NodeId, Outcome, Phase, RequestId, Scheme, UnixMs};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// The columns, in order. Numbers stand for the words of `base` (`kind`, `outcome`, `phase`, `scheme`; 0 for
/// none); addresses are their 4 or 16 bytes.
pub(crate) fn schema() -> SchemaRef {
    let fixed = || DataType::FixedSizeBinary(16);
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let text = |name| Field::new(name, DataType::Utf8, true);
    let number = |name, of| Field::new(name, of, false);
    Arc::new(Schema::new(vec![
        Field::new("id", fixed(), false),
        Field::new("time", time, false),
        Field::new("request_id", fixed(), true),
        number("node", DataType::UInt32),
        number("kind", DataType::UInt8),
        number("outcome", DataType::UInt8),
        Field::new("code", DataType::Utf8, true),
        number("phase", DataType::UInt8),
        text("route"),
        text("method"),
        text("host"),
        text("path"),
        Field::new("client_ip", DataType::Binary, true),
        text("principal"),
        text("client_id"),
        text("credential_id"),
        text("issuer"),
        number("scheme", DataType::UInt8),
        number("status", DataType::UInt16),
        number("latency_us", DataType::UInt32),
        number("upstream_us", DataType::UInt32),
        number("bytes_in", DataType::UInt64),
        number("bytes_out", DataType::UInt64),
        number("count", DataType::UInt32),
        text("detail"),
        Field::new("trace_id", fixed(), true),
        Field::new("salt", fixed(), false),
    ]))
}

/// Bytes of a row whose length does not depend on its values.
const FIXED_ROW_BYTES: usize = 16 * 4 + 8 + 4 + 4 + 2 + 4 * 3 + 8 * 2 + 11 * 4 + 2;

/// About how many bytes an event takes on disk: what is charged to its quota.
pub(crate) fn row_bytes(row: &Row<'_>) -> usize {
    FIXED_ROW_BYTES + row.texts.iter().flatten().map(|it| it.len()).sum::<usize>()
}

/// Reads the messages of one segment.
pub(crate) struct ColumnsReader(StreamDecoder);

impl std::fmt::Debug for ColumnsReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ColumnsReader")
    }
}

impl ColumnsReader {
    /// A reader for a segment whose schema message is `message`.
    ///
    /// # Errors
    /// When that is not the schema of this version.
    pub(crate) fn new(message: &[u8]) -> Result<Self, Malformed> {
        let found = guarded(|| Ok(StreamReader::try_new(message, None)?.schema()))?;
        if found != schema() {
            return Err(Malformed::Schema);
        }
        // The decoder takes the schema in together with the first batch.
        let mut decoder = StreamDecoder::new();
        guarded(|| decoder.decode(&mut Buffer::from(message)))?;
        Ok(Self(decoder))
    }

    /// The events of one message, each with its salt, in order.
    ///
    /// # Errors
    /// When the message is not one well-formed record batch of `count` rows.
    pub(crate) fn read(
        &mut self,
        message: &[u8],
        count: u32,
    ) -> Result<Vec<(Event, Salt)>, Malformed> {
        let decoder = &mut self.0;
        let mut buffer = Buffer::from(message);
        let batch = guarded(|| {
            let batch = decoder.decode(&mut buffer)?;
            if buffer.is_empty() { Ok(batch) } else { Ok(None) }
        })?;
        let batch = batch.ok_or(Malformed::Batch)?;
        if batch.num_rows() != usize::try_from(count).unwrap_or(usize::MAX)
            || batch.schema() != schema()
        {
            return Err(Malformed::Batch);
        }
        let mut rows = Rows { batch: &batch, routes: None, issuers: None };
        (0..batch.num_rows()).map(|row| rows.read(row).ok_or(Malformed::Value)).collect()
    }
}

/// Runs the decoder so that a panic of its own on crafted bytes is an error like any other.
fn guarded<T>(run: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, Malformed> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .map_err(|_| Malformed::Batch)?
        .map_err(|_| Malformed::Batch)
}

struct Rows<'a> {
    batch: &'a RecordBatch,
    /// The value read last: neighbours often share it.
    routes: Option<Arc<str>>,
    issuers: Option<Arc<str>>,
}

impl Rows<'_> {
    fn read(&mut self, row: usize) -> Option<(Event, Salt)> {
        let time = self.number::<TimestampMillisecondType>(1, row)?;
        let kind = Kind::from_number(self.number::<UInt8Type>(4, row)?)?;
        let code = Code::read(self.text(6, row)??);
        let node = NodeId(self.number::<UInt32Type>(3, row)?);
        let id = EventId(self.sixteen(0, row)??);
        let (last_route, last_issuer) = (self.routes.take(), self.issuers.take());
        let event = Event {
            request_id: self.sixteen(2, row)?.map(RequestId::from_bytes),
            outcome: Outcome::from_number(self.number::<UInt8Type>(5, row)?)?,
            phase: optional(self.number::<UInt8Type>(7, row)?, Phase::from_number)?,
            route: shared(self.text(8, row)?, last_route),
            method: self.text(9, row)?.map(method),
            host: self.text(10, row)?.map(Into::into),
            path: self.text(11, row)?.map(Into::into),
            client_ip: self.address(row)?,
            principal: self.text(13, row)?.map(Into::into),
            client_id: self.text(14, row)?.map(Into::into),
            credential_id: self.text(15, row)?.map(Into::into),
            issuer: shared(self.text(16, row)?, last_issuer),
            scheme: optional(self.number::<UInt8Type>(17, row)?, Scheme::from_number)?,
            status: self.number::<UInt16Type>(18, row)?,
            latency_us: self.number::<UInt32Type>(19, row)?,
            upstream_us: self.number::<UInt32Type>(20, row)?,
            bytes_in: self.number::<UInt64Type>(21, row)?,
            bytes_out: self.number::<UInt64Type>(22, row)?,
            count: self.number::<UInt32Type>(23, row)?,
            detail: self.text(24, row)?.map(Into::into),
            trace_id: self.sixteen(25, row)?,
            ..Event::new(id, UnixMs(time), node, kind, code)
        };
        (self.routes, self.issuers) = (event.route.clone(), event.issuer.clone());
        Some((event, self.sixteen(26, row)??))
    }

    fn number<T: ArrowPrimitiveType>(&self, column: usize, row: usize) -> Option<T::Native> {
        self.batch.columns().get(column)?.as_primitive_opt::<T>()?.values().get(row).copied()
    }

    fn text(&self, column: usize, row: usize) -> Option<Option<&str>> {
        let array = self.batch.columns().get(column)?.as_string_opt::<i32>()?;
        if row >= array.len() {
            return None;
        }
        Some(array.is_valid(row).then(|| array.value(row)))
    }

    fn address(&self, row: usize) -> Option<Option<IpAddr>> {
        let array = self.batch.columns().get(12)?.as_binary_opt::<i32>()?;
        if row >= array.len() {
            return None;
        }
        if array.is_null(row) {
            return Some(None);
        }
        let bytes = array.value(row);
        if let Ok(four) = <[u8; 4]>::try_from(bytes) {
            return Some(Some(IpAddr::from(four)));
        }
        <[u8; 16]>::try_from(bytes).ok().map(|it| Some(IpAddr::from(it)))
    }

    fn sixteen(&self, column: usize, row: usize) -> Option<Option<[u8; SALT_BYTES]>> {
        let array = self.batch.columns().get(column)?.as_fixed_size_binary_opt()?;
        if row >= array.len() {
            return None;
        }
        if array.is_null(row) {
            return Some(None);
        }
        let bytes = array.value(row);
        bytes.try_into().ok().map(Some)
    }
}

fn optional<T>(number: u8, read: impl Fn(u8) -> Option<T>) -> Option<Option<T>> {
    if number == 0 { Some(None) } else { read(number).map(Some) }
}

fn shared(text: Option<&str>, last: Option<Arc<str>>) -> Option<Arc<str>> {
    let text = text?;
    match last {
        Some(last) if *last == *text => Some(last),
        _ => Some(text.into()),
    }
}

fn method(text: &str) -> Cow<'static, str> {
    const COMMON: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
    match COMMON.into_iter().find(|it| *it == text) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(text.to_owned()),
    }
}
