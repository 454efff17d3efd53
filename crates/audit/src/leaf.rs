//! The leaf: a versioned canonical encoding of an [`Event`], independent of any file format.
//!
//! A version byte, then the fields that are present in ascending order of their tag, each as tag (1 byte),
//! length (2 bytes, big-endian) and value; numbers are big-endian at their full width. What equals its
//! default is absent: a number that is 0, a `count` of 1, an `id` that is the request's.
//!
//! Path, client address and principal enter as `SHA-256(salt || tag || value)`: with the values and the
//! record's salt erased, leaf and proofs still hold and say nothing about a person.
//!
//! INVARIANT: two events with the same leaf are the same event (up to the commitments' collision resistance).

use crate::hash::{Hash, sha256};
use crate::row::{Head, Row};
use base::{Event, EventId};
use std::borrow::Cow;
use std::net::IpAddr;

/// The version of the encoding.
pub const LEAF_VERSION: u8 = 1;

/// Bytes of one text field at most; longer text is cut before it enters the ledger. The longest that can
/// come from a request is a target of 8 KiB.
pub(crate) const TEXT_BYTES: usize = 8 * 1024;

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
    pub(super) const PATH: u8 = 12;
    pub(super) const CLIENT_IP: u8 = 13;
    pub(super) const PRINCIPAL: u8 = 14;
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
    scratch: Vec<u8>,
}

impl LeafEncoder {
    /// The leaf's hash. RFC 6962 §2.1: `SHA-256(0x00 || leaf)`.
    pub(crate) fn hash(&mut self, row: &Row<'_>, salt: &Salt) -> Hash {
        self.fill(row, salt);
        sha256(&self.leaf)
    }

    fn fill(&mut self, row: &Row<'_>, salt: &Salt) {
        let Row { head, texts } = row;
        let [code, route, method, host, path, principal, client_id, credential_id, issuer, detail] =
            *texts;
        self.leaf.clear();
        self.leaf.extend_from_slice(&[0, LEAF_VERSION]);
        if head.request_id.map(EventId::from) != Some(head.id) {
            self.field(tag::ID, &head.id.0);
        }
        self.field(tag::TIME, &head.time.0.to_be_bytes());
        if let Some(id) = head.request_id {
            self.field(tag::REQUEST_ID, &id.to_bytes());
        }
        self.field(tag::NODE, &head.node.0.to_be_bytes());
        self.field(tag::KIND, &[head.kind as u8]);
        self.field(tag::OUTCOME, &[head.outcome as u8]);
        self.text(tag::CODE, code);
        if let Some(phase) = head.phase {
            self.field(tag::PHASE, &[phase as u8]);
        }
        self.text(tag::ROUTE, route);
        self.text(tag::METHOD, method);
        self.text(tag::HOST, host);
        if let Some(path) = path {
            self.commitment(tag::PATH, path.as_bytes(), salt);
        }
        match head.client_ip {
            Some(IpAddr::V4(ip)) => self.commitment(tag::CLIENT_IP, &ip.octets(), salt),
            Some(IpAddr::V6(ip)) => self.commitment(tag::CLIENT_IP, &ip.octets(), salt),
            None => {}
        }
        if let Some(principal) = principal {
            self.commitment(tag::PRINCIPAL, principal.as_bytes(), salt);
        }
        self.text(tag::CLIENT_ID, client_id);
        self.text(tag::CREDENTIAL_ID, credential_id);
        self.text(tag::ISSUER, issuer);
        if let Some(scheme) = head.scheme {
            self.field(tag::SCHEME, &[scheme as u8]);
        }
        self.numbers(head);
        self.text(tag::DETAIL, detail);
        if let Some(id) = head.trace_id {
            self.field(tag::TRACE_ID, &id);
        }
    }

    fn numbers(&mut self, event: &Head) {
        if event.status != 0 {
            self.field(tag::STATUS, &event.status.to_be_bytes());
        }
        if event.latency_us != 0 {
            self.field(tag::LATENCY, &event.latency_us.to_be_bytes());
        }
        if event.upstream_us != 0 {
            self.field(tag::UPSTREAM, &event.upstream_us.to_be_bytes());
        }
        if event.bytes_in != 0 {
            self.field(tag::BYTES_IN, &event.bytes_in.to_be_bytes());
        }
        if event.bytes_out != 0 {
            self.field(tag::BYTES_OUT, &event.bytes_out.to_be_bytes());
        }
        if event.count != 1 {
            self.field(tag::COUNT, &event.count.to_be_bytes());
        }
    }

    fn text(&mut self, tag: u8, value: Option<&str>) {
        if let Some(value) = value {
            self.field(tag, value.as_bytes());
        }
    }

    fn commitment(&mut self, tag: u8, value: &[u8], salt: &Salt) {
        self.scratch.clear();
        self.scratch.extend_from_slice(salt);
        self.scratch.push(tag);
        self.scratch.extend_from_slice(value);
        let hash = sha256(&self.scratch);
        self.field(tag, &hash);
    }

    /// INVARIANT: no value is longer than [`TEXT_BYTES`] (see [`bound`]), so its length fits two bytes.
    fn field(&mut self, tag: u8, value: &[u8]) {
        let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
        self.leaf.extend_from_slice(&[tag, high, low]);
        self.leaf.extend_from_slice(value);
    }
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
