//! Events as Arrow record batches, and back. One batch is one frame; the frames' batches, after the schema of
//! the segment, are an Arrow IPC stream.
//!
//! WHY: the columns are built by hand from plain vectors, one array a batch, so that the cost of an event is
//! a few copies and the cost of Arrow is paid once a sync.

use crate::error::Malformed;
use crate::leaf::{SALT_BYTES, Salt};
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, FixedSizeBinaryArray, PrimitiveArray,
    RecordBatch, StringArray,
};
use arrow_buffer::{
    ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer,
};
use arrow_ipc::reader::{StreamDecoder, StreamReader};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use base::{Code, Event, EventId, Kind, NodeId, Outcome, Phase, RequestId, Scheme, UnixMs};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// The columns, in order. Numbers stand for the words of `base` (`kind`, `outcome`, `phase`, `scheme`; 0 for
/// none); addresses are their 4 or 16 bytes.
fn schema() -> SchemaRef {
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

/// Elements that a new buffer has room for at most; a batch is rarely longer.
const ROOM: usize = 1 << 14;

/// Takes a buffer, and leaves room for as much again.
fn taken<T>(buffer: &mut Vec<T>) -> Vec<T> {
    let room = buffer.len().min(ROOM);
    std::mem::replace(buffer, Vec::with_capacity(room))
}

/// Which values are there, a bit each.
#[derive(Debug, Default)]
struct Present {
    bits: Vec<u8>,
    len: usize,
    absent: usize,
}

impl Present {
    fn push(&mut self, present: bool) {
        if self.len.is_multiple_of(8) {
            self.bits.push(0);
        }
        if let Some(last) = self.bits.last_mut() {
            *last |= u8::from(present) << (self.len % 8);
        }
        self.absent += usize::from(!present);
        self.len += 1;
    }

    fn finish(&mut self) -> Option<NullBuffer> {
        let (bits, len) = (taken(&mut self.bits), std::mem::take(&mut self.len));
        let absent = std::mem::take(&mut self.absent);
        (absent > 0).then(|| NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, len)))
    }
}

/// A column of text or bytes of any length.
#[derive(Debug, Default)]
struct Bytes {
    data: Vec<u8>,
    ends: Vec<i32>,
    present: Present,
}

impl Bytes {
    fn push(&mut self, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.data.extend_from_slice(value);
        }
        self.ends.push(i32::try_from(self.data.len()).unwrap_or(i32::MAX));
        self.present.push(value.is_some());
    }

    fn parts(&mut self) -> (OffsetBuffer<i32>, Buffer, Option<NullBuffer>) {
        let rows = self.ends.len();
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        let capacity = self.data.capacity();
        let data = std::mem::replace(&mut self.data, Vec::with_capacity(capacity.min(1 << 16)));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        (offsets, Buffer::from_vec(data), self.present.finish())
    }

    fn text(&mut self) -> Result<ArrayRef, ArrowError> {
        let (offsets, data, nulls) = self.parts();
        Ok(Arc::new(StringArray::try_new(offsets, data, nulls)?))
    }

    fn binary(&mut self) -> Result<ArrayRef, ArrowError> {
        let (offsets, data, nulls) = self.parts();
        Ok(Arc::new(BinaryArray::try_new(offsets, data, nulls)?))
    }
}

/// A column of 16 bytes each.
#[derive(Debug, Default)]
struct Sixteen {
    data: Vec<u8>,
    present: Present,
}

impl Sixteen {
    fn push(&mut self, value: Option<&[u8; 16]>) {
        self.data.extend_from_slice(value.unwrap_or(&[0; 16]));
        self.present.push(value.is_some());
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let data = Buffer::from_vec(taken(&mut self.data));
        Ok(Arc::new(FixedSizeBinaryArray::try_new(16, data, self.present.finish())?))
    }
}

fn numbers<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>) -> Result<ArrayRef, ArrowError>
where
    T::Native: ArrowNativeType,
{
    Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(taken(values)), None)?))
}

/// Collects events and writes them as one message of an Arrow IPC stream.
pub(crate) struct Columns {
    schema: SchemaRef,
    schema_message: Vec<u8>,
    writer: StreamWriter<Vec<u8>>,
    rows: usize,
    bytes: usize,
    id: Sixteen,
    time: Vec<i64>,
    request_id: Sixteen,
    node: Vec<u32>,
    kind: Vec<u8>,
    outcome: Vec<u8>,
    phase: Vec<u8>,
    scheme: Vec<u8>,
    client_ip: Bytes,
    /// code, route, method, host, path, principal, client_id, credential_id, issuer, detail
    texts: [Bytes; 10],
    status: Vec<u16>,
    latency_us: Vec<u32>,
    upstream_us: Vec<u32>,
    bytes_in: Vec<u64>,
    bytes_out: Vec<u64>,
    count: Vec<u32>,
    trace_id: Sixteen,
    salt: Sixteen,
}

impl std::fmt::Debug for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Columns").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Bytes of a row whose length does not depend on its values.
const FIXED_ROW_BYTES: usize = 16 * 4 + 8 + 4 + 4 + 2 + 4 * 3 + 8 * 2 + 11 * 4 + 2;

/// About how many bytes an event takes on disk: what is charged to its quota.
pub(crate) fn row_bytes(event: &Event) -> usize {
    FIXED_ROW_BYTES + texts(event).into_iter().flatten().map(str::len).sum::<usize>()
}

/// The columns of text, in the order of [`Columns::texts`].
fn texts(event: &Event) -> [Option<&str>; 10] {
    [
        Some(event.code.as_str()),
        event.route.as_deref(),
        event.method.as_deref(),
        event.host.as_deref(),
        event.path.as_deref(),
        event.principal.as_deref(),
        event.client_id.as_deref(),
        event.credential_id.as_deref(),
        event.issuer.as_deref(),
        event.detail.as_deref(),
    ]
}

impl Columns {
    pub(crate) fn new() -> Result<Self, ArrowError> {
        let schema = schema();
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        let schema_message = std::mem::take(writer.get_mut());
        Ok(Self {
            schema,
            schema_message,
            writer,
            rows: 0,
            bytes: 0,
            id: Sixteen::default(),
            time: Vec::new(),
            request_id: Sixteen::default(),
            node: Vec::new(),
            kind: Vec::new(),
            outcome: Vec::new(),
            phase: Vec::new(),
            scheme: Vec::new(),
            client_ip: Bytes::default(),
            texts: Default::default(),
            status: Vec::new(),
            latency_us: Vec::new(),
            upstream_us: Vec::new(),
            bytes_in: Vec::new(),
            bytes_out: Vec::new(),
            count: Vec::new(),
            trace_id: Sixteen::default(),
            salt: Sixteen::default(),
        })
    }

    /// The message that begins the stream.
    pub(crate) fn schema_message(&self) -> &[u8] {
        &self.schema_message
    }

    /// About how many bytes the rows take so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row; gives about how many bytes it takes.
    pub(crate) fn push(&mut self, event: &Event, salt: &Salt) -> usize {
        self.id.push(Some(&event.id.0));
        self.time.push(event.time.0);
        self.request_id.push(event.request_id.map(RequestId::to_bytes).as_ref());
        self.node.push(event.node.0);
        self.kind.push(event.kind as u8);
        self.outcome.push(event.outcome as u8);
        self.phase.push(event.phase.map_or(0, |it| it as u8));
        self.scheme.push(event.scheme.map_or(0, |it| it as u8));
        match event.client_ip {
            Some(IpAddr::V4(ip)) => self.client_ip.push(Some(&ip.octets())),
            Some(IpAddr::V6(ip)) => self.client_ip.push(Some(&ip.octets())),
            None => self.client_ip.push(None),
        }
        for (column, text) in self.texts.iter_mut().zip(texts(event)) {
            column.push(text.map(str::as_bytes));
        }
        let bytes = row_bytes(event);
        self.status.push(event.status);
        self.latency_us.push(event.latency_us);
        self.upstream_us.push(event.upstream_us);
        self.bytes_in.push(event.bytes_in);
        self.bytes_out.push(event.bytes_out);
        self.count.push(event.count);
        self.trace_id.push(event.trace_id.as_ref());
        self.salt.push(Some(salt));
        self.rows += 1;
        self.bytes += bytes;
        bytes
    }

    /// Writes the rows as one message into a buffer that begins with `header` zero bytes, and starts anew.
    /// The buffer is the encoder's own and is used again.
    pub(crate) fn finish(&mut self, header: usize) -> Result<&mut Vec<u8>, ArrowError> {
        let batch = self.batch();
        let out = self.writer.get_mut();
        out.clear();
        out.resize(header, 0);
        self.writer.write(&batch?)?;
        Ok(self.writer.get_mut())
    }

    fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        (self.rows, self.bytes) = (0, 0);
        let [code, route, method, host, path, principal, client_id, credential_id, issuer, detail] =
            &mut self.texts;
        let columns: Vec<ArrayRef> = vec![
            self.id.finish()?,
            Arc::new(
                PrimitiveArray::<TimestampMillisecondType>::try_new(
                    ScalarBuffer::from(taken(&mut self.time)),
                    None,
                )?
                .with_timezone("UTC"),
            ),
            self.request_id.finish()?,
            numbers::<UInt32Type>(&mut self.node)?,
            numbers::<UInt8Type>(&mut self.kind)?,
            numbers::<UInt8Type>(&mut self.outcome)?,
            code.text()?,
            numbers::<UInt8Type>(&mut self.phase)?,
            route.text()?,
            method.text()?,
            host.text()?,
            path.text()?,
            self.client_ip.binary()?,
            principal.text()?,
            client_id.text()?,
            credential_id.text()?,
            issuer.text()?,
            numbers::<UInt8Type>(&mut self.scheme)?,
            numbers::<UInt16Type>(&mut self.status)?,
            numbers::<UInt32Type>(&mut self.latency_us)?,
            numbers::<UInt32Type>(&mut self.upstream_us)?,
            numbers::<UInt64Type>(&mut self.bytes_in)?,
            numbers::<UInt64Type>(&mut self.bytes_out)?,
            numbers::<UInt32Type>(&mut self.count)?,
            detail.text()?,
            self.trace_id.finish()?,
            self.salt.finish()?,
        ];
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
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
