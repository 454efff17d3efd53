//! Events as messages of an Arrow IPC stream, written without Arrow's own encoder.
//!
//! WHY: a batch holds a hundred events or so, and the encoder makes some two hundred allocations for each. All
//! messages of one schema have the same metadata but for a few numbers, so Arrow's encoder writes one message as
//! a template, once; these numbers are put into it, and behind it go the columns, which are kept as the bytes
//! that they are on disk.
//!
//! INVARIANT: a message is byte for byte what Arrow's encoder writes of the same rows (a test compares them).

use crate::columns::schema;
use crate::leaf::Salt;
use crate::row::Row;
use arrow_array::{RecordBatch, new_null_array};
use arrow_ipc::writer::StreamWriter;
use arrow_ipc::{Message, root_as_message};
use arrow_schema::{ArrowError, DataType, Schema};
use base::RequestId;
use std::net::IpAddr;
use std::sync::Arc;

/// Buffers of a message begin at multiples of this (Arrow columnar format: 64 is recommended).
const ALIGNMENT: usize = 64;
/// Bytes in front of a message's metadata: a mark and the length.
const PREFIX: usize = 8;
/// Bytes that an emptied column keeps at most.
const KEPT: usize = 1 << 18;
/// Bytes that the emptied message keeps at most.
const MESSAGE_KEPT: usize = 1 << 20;

/// One column: its buffers as they are on disk (little-endian).
#[derive(Debug)]
struct Column {
    /// A bit for each value that may be absent.
    present: Vec<u8>,
    absent: usize,
    /// Of values of different lengths: 0, then where each ends.
    ends: Option<Vec<u8>>,
    data: Vec<u8>,
}

impl Column {
    fn new(of: &DataType) -> Self {
        let different = matches!(of, DataType::Utf8 | DataType::Binary);
        let ends = different.then(|| vec![0; 4]);
        Self { present: Vec::new(), absent: 0, ends, data: Vec::new() }
    }

    fn mark(&mut self, row: usize, present: bool) {
        if row.is_multiple_of(8) {
            self.present.push(0);
        }
        if let Some(last) = self.present.last_mut() {
            *last |= u8::from(present) << (row % 8);
        }
        self.absent += usize::from(!present);
    }

    fn clear(&mut self) {
        self.absent = 0;
        for buffer in [&mut self.present, &mut self.data].into_iter().chain(&mut self.ends) {
            buffer.clear();
            buffer.shrink_to(KEPT);
        }
        if let Some(ends) = &mut self.ends {
            ends.extend_from_slice(&[0; 4]);
        }
    }
}

/// One row on its way into the columns, from the first to the last.
struct Cells<'a> {
    columns: std::slice::IterMut<'a, Column>,
    row: usize,
}

impl Cells<'_> {
    /// Of a column where none is absent and all have the same length.
    #[inline]
    fn plain(&mut self, bytes: &[u8]) {
        if let Some(column) = self.columns.next() {
            column.data.extend_from_slice(bytes);
        }
    }

    #[inline]
    fn sixteen(&mut self, value: Option<&[u8; 16]>) {
        if let Some(column) = self.columns.next() {
            column.data.extend_from_slice(value.unwrap_or(&[0; 16]));
            column.mark(self.row, value.is_some());
        }
    }

    #[inline]
    fn bytes(&mut self, value: Option<&[u8]>) {
        let Some(column) = self.columns.next() else { return };
        if let Some(value) = value {
            column.data.extend_from_slice(value);
        }
        // A batch ends far below 2 GiB (`frame::BODY_BYTES`).
        let end = i32::try_from(column.data.len()).unwrap_or(i32::MAX);
        if let Some(ends) = &mut column.ends {
            ends.extend_from_slice(&end.to_le_bytes());
        }
        column.mark(self.row, value.is_some());
    }

    fn text(&mut self, value: Option<&str>) {
        self.bytes(value.map(str::as_bytes));
    }
}

/// Collects events and writes them as one message of an Arrow IPC stream.
#[derive(Debug)]
pub(crate) struct Columns {
    schema_message: Vec<u8>,
    template: Template,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    message: Vec<u8>,
    /// The lengths and absences of the columns, the places and lengths of their buffers.
    nodes: Vec<u8>,
    buffers: Vec<u8>,
}

impl Columns {
    pub(crate) fn new() -> Result<Self, ArrowError> {
        let schema = schema();
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        let schema_message = std::mem::take(writer.get_mut());
        let template = Template::new(&schema)?;
        let columns = schema.fields().iter().map(|it| Column::new(it.data_type())).collect();
        let (message, nodes, buffers) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { schema_message, template, columns, rows: 0, bytes: 0, message, nodes, buffers })
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
    pub(crate) fn push(&mut self, row: &Row<'_>, salt: &Salt) -> usize {
        let bytes = crate::columns::row_bytes(row);
        let event = &row.head;
        let [code, route, method, host, path, principal, client_id, credential_id, issuer, detail] =
            row.texts;
        let mut cells = Cells { columns: self.columns.iter_mut(), row: self.rows };
        cells.sixteen(Some(&event.id.0));
        cells.plain(&event.time.0.to_le_bytes());
        cells.sixteen(event.request_id.map(RequestId::to_bytes).as_ref());
        cells.plain(&event.node.0.to_le_bytes());
        cells.plain(&[event.kind as u8]);
        cells.plain(&[event.outcome as u8]);
        cells.text(code);
        cells.plain(&[event.phase.map_or(0, |it| it as u8)]);
        cells.text(route);
        cells.text(method);
        cells.text(host);
        cells.text(path);
        match event.client_ip {
            Some(IpAddr::V4(ip)) => cells.bytes(Some(&ip.octets())),
            Some(IpAddr::V6(ip)) => cells.bytes(Some(&ip.octets())),
            None => cells.bytes(None),
        }
        cells.text(principal);
        cells.text(client_id);
        cells.text(credential_id);
        cells.text(issuer);
        cells.plain(&[event.scheme.map_or(0, |it| it as u8)]);
        cells.plain(&event.status.to_le_bytes());
        cells.plain(&event.latency_us.to_le_bytes());
        cells.plain(&event.upstream_us.to_le_bytes());
        cells.plain(&event.bytes_in.to_le_bytes());
        cells.plain(&event.bytes_out.to_le_bytes());
        cells.plain(&event.count.to_le_bytes());
        cells.text(detail);
        cells.sixteen(event.trace_id.as_ref());
        cells.sixteen(Some(salt));
        self.rows += 1;
        self.bytes += bytes;
        bytes
    }

    /// Writes the rows as one message into a buffer that begins with `header` zero bytes, and starts anew.
    /// The buffer is the encoder's own and is used again.
    pub(crate) fn finish(&mut self, header: usize) -> Result<&mut Vec<u8>, ArrowError> {
        let message = &mut self.message;
        message.clear();
        message.shrink_to(MESSAGE_KEPT);
        message.resize(header, 0);
        message.extend_from_slice(&self.template.bytes);
        let body = message.len();
        self.nodes.clear();
        self.buffers.clear();
        for column in &mut self.columns {
            put(&mut self.nodes, self.rows);
            put(&mut self.nodes, column.absent);
            let present = if column.absent > 0 { column.present.as_slice() } else { &[] };
            let all = [Some(present), column.ends.as_deref(), Some(column.data.as_slice())];
            for buffer in all.into_iter().flatten() {
                put(&mut self.buffers, message.len() - body);
                put(&mut self.buffers, buffer.len());
                message.extend_from_slice(buffer);
                message.resize(body + (message.len() - body).next_multiple_of(ALIGNMENT), 0);
            }
            column.clear();
        }
        let body_len = message.len() - body;
        let metadata = message.get_mut(header..body).unwrap_or_default();
        self.template.fill(metadata, self.rows, body_len, [&self.nodes, &self.buffers])?;
        (self.rows, self.bytes) = (0, 0);
        Ok(message)
    }
}

fn put(to: &mut Vec<u8>, number: usize) {
    to.extend_from_slice(&(number as u64).to_le_bytes());
}

/// The metadata of a message, and where in it the numbers stand that differ (Arrow's `Message.fbs`).
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    rows: usize,
    body_len: usize,
    nodes: usize,
    buffers: usize,
}

impl Template {
    fn new(schema: &Schema) -> Result<Self, ArrowError> {
        // One row with nothing in it: what is zero would not stand in the metadata.
        let fields = schema.fields().iter().map(|it| it.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let arrays = schema.fields().iter().map(|it| new_null_array(it.data_type(), 1));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays.collect())?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        writer.get_mut().clear();
        writer.write(&batch)?;
        let message = std::mem::take(writer.get_mut());
        Self::of(&message).ok_or_else(unexpected)
    }

    fn of(message: &[u8]) -> Option<Self> {
        let len = message.get(4..PREFIX)?.first_chunk().copied().map(u32::from_le_bytes)?;
        let end = PREFIX.checked_add(usize::try_from(len).ok()?)?;
        let metadata = message.get(PREFIX..end)?.to_vec();
        let root = root_as_message(&metadata).ok()?;
        let batch = root.header_as_record_batch()?;
        let (nodes, buffers) = (batch.nodes()?, batch.buffers()?);
        let place =
            |of: &[u8]| Some(PREFIX + of.as_ptr().addr().checked_sub(metadata.as_ptr().addr())?);
        let field = |table: usize, at: u16| (at > 0).then(|| PREFIX + table + usize::from(at));
        let at = root._tab.vtable().get(Message::VT_BODYLENGTH);
        let body_len = field(root._tab.loc(), at)?;
        let at = batch._tab.vtable().get(arrow_ipc::RecordBatch::VT_LENGTH);
        let rows = field(batch._tab.loc(), at)?;
        Some(Self {
            bytes: message.get(..end)?.to_vec(),
            rows,
            body_len,
            nodes: place(nodes.bytes())?,
            buffers: place(buffers.bytes())?,
        })
    }

    /// Puts the numbers of one message into its metadata.
    fn fill(
        &self,
        metadata: &mut [u8],
        rows: usize,
        body_len: usize,
        [nodes, buffers]: [&[u8]; 2],
    ) -> Result<(), ArrowError> {
        let numbers = [(self.rows, rows), (self.body_len, body_len)];
        let numbers = numbers.map(|(at, number)| (at, (number as u64).to_le_bytes()));
        let numbers = numbers.iter().map(|(at, bytes)| (*at, bytes.as_slice()));
        for (at, bytes) in numbers.chain([(self.nodes, nodes), (self.buffers, buffers)]) {
            let place = metadata.get_mut(at..at + bytes.len()).ok_or_else(unexpected)?;
            place.copy_from_slice(bytes);
        }
        Ok(())
    }
}

fn unexpected() -> ArrowError {
    ArrowError::IpcError("the metadata of a message is not as expected".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_buffer::Buffer;
    use arrow_ipc::reader::StreamDecoder;
    use base::{Event, EventId, Kind, NodeId, UnixMs, code};

    #[test]
    fn a_message_is_what_arrow_writes() {
        let mut columns = Columns::new().unwrap();
        for rows in [1u128, 7, 8, 9, 300] {
            for n in 0..rows {
                let id = EventId(n.to_be_bytes());
                let mut event = Event::new(id, UnixMs(-5), NodeId(7), Kind::Decision, code::OK);
                event.route = (rows == 8 || n % 3 > 0).then(|| "orders".into());
                event.path = Some("x".repeat(n as usize * 7).into());
                event.request_id = Some(RequestId::from_bytes([3; 16]));
                event.trace_id = (n % 2 == 0).then_some([4; 16]);
                event.client_ip = Some([192, 0, 2, 1].into());
                (event.status, event.bytes_out) = (200, u64::MAX);
                columns.push(&Row::from(&event), &[9; 16]);
            }
            let schema_message = columns.schema_message().to_vec();
            let message = columns.finish(0).unwrap().clone();
            let mut decoder = StreamDecoder::new();
            decoder.decode(&mut Buffer::from(schema_message)).unwrap();
            let batch = decoder.decode(&mut Buffer::from(message.as_slice())).unwrap().unwrap();
            let mut writer = StreamWriter::try_new(Vec::new(), &schema()).unwrap();
            writer.get_mut().clear();
            writer.write(&batch).unwrap();
            assert!(*writer.get_mut() == message, "{rows} rows");
            assert_eq!(batch.num_rows() as u128, rows);
        }
    }
}
