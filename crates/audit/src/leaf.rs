//! The leaf: a versioned canonical encoding of an event, independent of any file format.
//!
//! A version byte, then the fields that are present in ascending order of their tag, each as tag (1 byte), length
//! and value. A length below 128 is one byte; a longer one is two, big-endian, with the highest bit set. Numbers are
//! big-endian without leading zero bytes. What equals its default is absent: a number that is 0, a `count` of 1, an
//! `id` that is the request's, a `time` and a `node` that are those in the request's id.
//!
//! Path, client address and principal enter as one commitment, `SHA-256(salt || fields)`, the fields written as in
//! the leaf: with the values and the record's salt erased, leaf and proofs still hold and say nothing about a
//! person, not even which of the three there were.
//!
//! INVARIANT: two events with the same leaf are the same event (up to the commitments' collision resistance).

use crate::hash::{Hash, sha256};
use crate::row::{Head, Row};
use base::{Event, EventId, RequestId};
use std::borrow::Cow;
use std::net::IpAddr;

/// The version of the encoding.
pub const LEAF_VERSION: u8 = 2;

/// Bytes of one text field at most; longer text is cut before it enters the ledger. The longest that can
/// come from a request is a target of 8 KiB.
pub(crate) const TEXT_BYTES: usize = 8 * 1024;

/// The bit that marks a length of two bytes.
const LONG: u8 = 0x80;

/// Bytes of a record's salt: 128 bits, so that a commitment to an IPv4 address cannot be searched.
pub(crate) const SALT_BYTES: usize = 16;

/// A record's salt.
pub(crate) type Salt = [u8; SALT_BYTES];

mod tag {
    pub(super) const ID: u8 = 1;
    pub(super) const TIME: u8 = 2;
    pub(super) const REQUEST_ID: u8 = 3;
    pub(super) const NODE: u8 = 4;
    pub(super) const KIND: u8 = 5;
    pub(super) const OUTCOME: u8 = 6;
    pub(super) const CODE: u8 = 7;
    pub(super) const PHASE: u8 = 8;
    pub(super) const ROUTE: u8 = 9;
    pub(super) const METHOD: u8 = 10;
    pub(super) const HOST: u8 = 11;
    /// The three in the commitment; the commitment stands in the leaf at the place of the first.
    pub(super) const PATH: u8 = 12;
    pub(super) const CLIENT_IP: u8 = 13;
    pub(super) const PRINCIPAL: u8 = 14;
    pub(super) const PERSONAL: u8 = PATH;
    pub(super) const CLIENT_ID: u8 = 15;
    pub(super) const CREDENTIAL_ID: u8 = 16;
    pub(super) const ISSUER: u8 = 17;
    pub(super) const SCHEME: u8 = 18;
    pub(super) const STATUS: u8 = 19;
    pub(super) const LATENCY: u8 = 20;
    pub(super) const UPSTREAM: u8 = 21;
    pub(super) const BYTES_IN: u8 = 22;
    pub(super) const BYTES_OUT: u8 = 23;
    pub(super) const COUNT: u8 = 24;
    pub(super) const DETAIL: u8 = 25;
    pub(super) const TRACE_ID: u8 = 26;
}

/// Encodes leaves into a buffer that is used again.
#[derive(Debug, Default)]
pub(crate) struct LeafEncoder {
    /// 0x00 (the prefix of RFC 6962 §2.1), then the leaf.
    leaf: Vec<u8>,
    /// A salt, then the fields that it hides.
    personal: Vec<u8>,
}

impl LeafEncoder {
    /// The leaf's hash. RFC 6962 §2.1: `SHA-256(0x00 || leaf)`.
    pub(crate) fn hash(&mut self, row: &Row<'_>, salt: &Salt) -> Hash {
        self.fill(row, salt);
        sha256(&self.leaf)
    }

    /// The leaf itself.
    #[cfg(test)]
    pub(crate) fn leaf(&mut self, row: &Row<'_>, salt: &Salt) -> &[u8] {
        self.fill(row, salt);
        self.leaf.get(1..).unwrap_or_default()
    }

    fn fill(&mut self, row: &Row<'_>, salt: &Salt) {
        let Row { head, texts } = row;
        let [code, route, method, host, path, principal, client_id, credential_id, issuer, detail] =
            *texts;
        self.leaf.clear();
        self.leaf.extend_from_slice(&[0, LEAF_VERSION]);
        let leaf = &mut self.leaf;
        if head.request_id.map(EventId::from) != Some(head.id) {
            field(leaf, tag::ID, &head.id.0);
        }
        if head.request_id.map(RequestId::time) != Some(head.time) {
            number(leaf, tag::TIME, head.time.0.to_be_bytes());
        }
        if let Some(id) = head.request_id {
            field(leaf, tag::REQUEST_ID, &id.to_bytes());
        }
        if head.request_id.map(RequestId::node) != Some(head.node) {
            number(leaf, tag::NODE, head.node.0.to_be_bytes());
        }
        field(leaf, tag::KIND, &[head.kind as u8]);
        field(leaf, tag::OUTCOME, &[head.outcome as u8]);
        text(leaf, tag::CODE, code);
        if let Some(phase) = head.phase {
            field(leaf, tag::PHASE, &[phase as u8]);
        }
        text(leaf, tag::ROUTE, route);
        text(leaf, tag::METHOD, method);
        text(leaf, tag::HOST, host);
        if let Some(commitment) = self.commitment(path, head.client_ip, principal, salt) {
            field(&mut self.leaf, tag::PERSONAL, &commitment);
        }
        let leaf = &mut self.leaf;
        text(leaf, tag::CLIENT_ID, client_id);
        text(leaf, tag::CREDENTIAL_ID, credential_id);
        text(leaf, tag::ISSUER, issuer);
        if let Some(scheme) = head.scheme {
            field(leaf, tag::SCHEME, &[scheme as u8]);
        }
        numbers(leaf, head);
        text(leaf, tag::DETAIL, detail);
        if let Some(id) = head.trace_id {
            field(leaf, tag::TRACE_ID, &id);
        }
    }

    /// Of those of the three that there are; nothing where there is none.
    fn commitment(
        &mut self,
        path: Option<&str>,
        client_ip: Option<IpAddr>,
        principal: Option<&str>,
        salt: &Salt,
    ) -> Option<Hash> {
        let personal = &mut self.personal;
        personal.clear();
        personal.extend_from_slice(salt);
        text(personal, tag::PATH, path);
        match client_ip {
            Some(IpAddr::V4(ip)) => field(personal, tag::CLIENT_IP, &ip.octets()),
            Some(IpAddr::V6(ip)) => field(personal, tag::CLIENT_IP, &ip.octets()),
            None => {}
        }
        text(personal, tag::PRINCIPAL, principal);
        (personal.len() > SALT_BYTES).then(|| sha256(personal))
    }
}

fn numbers(leaf: &mut Vec<u8>, head: &Head) {
    if head.status != 0 {
        number(leaf, tag::STATUS, head.status.to_be_bytes());
    }
    if head.latency_us != 0 {
        number(leaf, tag::LATENCY, head.latency_us.to_be_bytes());
    }
    if head.upstream_us != 0 {
        number(leaf, tag::UPSTREAM, head.upstream_us.to_be_bytes());
    }
    if head.bytes_in != 0 {
        number(leaf, tag::BYTES_IN, head.bytes_in.to_be_bytes());
    }
    if head.bytes_out != 0 {
        number(leaf, tag::BYTES_OUT, head.bytes_out.to_be_bytes());
    }
    if head.count != 1 {
        number(leaf, tag::COUNT, head.count.to_be_bytes());
    }
}

fn text(to: &mut Vec<u8>, tag: u8, value: Option<&str>) {
    if let Some(value) = value {
        field(to, tag, value.as_bytes());
    }
}

/// A number from its big-endian bytes.
fn number<const N: usize>(to: &mut Vec<u8>, tag: u8, bytes: [u8; N]) {
    let zeros = bytes.iter().take_while(|it| **it == 0).count();
    field(to, tag, bytes.get(zeros..).unwrap_or_default());
}

/// INVARIANT: no value is longer than [`TEXT_BYTES`] (see [`bound`]), so its length fits 15 bits.
fn field(to: &mut Vec<u8>, tag: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(len) if len < LONG => to.extend_from_slice(&[tag, len]),
        _ => {
            let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
            to.extend_from_slice(&[tag, LONG | high, low]);
        }
    }
    to.extend_from_slice(value);
}

/// Cuts every text of `event` that is longer than [`TEXT_BYTES`]; what was cut ends in `…`.
pub(crate) fn bound(event: &mut Event) {
    let long = |text: &str| text.len() > TEXT_BYTES;
    let Event { route, method, host, path, principal, client_id, credential_id, issuer, .. } =
        event;
    for text in [route, principal, client_id, credential_id, issuer] {
        if let Some(value) = text.as_deref().filter(|it| long(it)) {
            *text = Some(shorten(value).into());
        }
    }
    for text in [host, path, &mut event.detail] {
        if let Some(value) = text.as_deref().filter(|it| long(it)) {
            *text = Some(shorten(value).into());
        }
    }
    if let Some(value) = method.as_deref().filter(|it| long(it)) {
        *method = Some(shorten(value).into());
    }
    if long(event.code.as_str()) {
        event.code = base::Code::read(&shorten(event.code.as_str()));
    }
}

/// A text as it enters the ledger: cut as [`bound`] does.
pub(crate) fn cut(text: &str) -> Cow<'_, str> {
    if text.len() > TEXT_BYTES { shorten(text).into() } else { text.into() }
}

fn shorten(text: &str) -> String {
    let mut end = TEXT_BYTES - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}
