//! A flat list of header fields over one buffer.

use std::fmt;
use std::ops::Range;

use bytes::BytesMut;
use http::HeaderMap;
use smallvec::SmallVec;

use super::{HeadError, Known};

/// Fields that a list holds without another allocation; a proxied request carries 6 to 20.
const INLINE_FIELDS: usize = 16;

/// A range of a head's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// A span from `start`, `len` bytes long; `None` above 4 GiB.
    pub(crate) fn new(start: usize, len: usize) -> Option<Self> {
        Some(Self { start: u32::try_from(start).ok()?, len: u32::try_from(len).ok()? })
    }

    /// Where `part`, a sub-slice of `whole`, lies in it. An empty part lies at the start.
    pub(crate) fn within(whole: &[u8], part: &[u8]) -> Option<Self> {
        if part.is_empty() {
            return Some(Self::default());
        }
        let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
        (start.checked_add(part.len())? <= whole.len()).then(|| Self::new(start, part.len()))?
    }

    /// The bytes; empty when the span does not fit, which no constructor lets happen.
    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.range()).unwrap_or_default()
    }

    /// First byte.
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    /// One past the last byte.
    pub(crate) fn end(self) -> usize {
        self.start as usize + self.len as usize
    }

    fn range(self) -> Range<usize> {
        self.start()..self.end()
    }
}

/// Where one field lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) name: Span,
    pub(crate) value: Span,
    known: Known,
    nominated: bool,
}

impl Place {
    /// A field whose name is not recognised yet.
    pub(crate) fn new(name: Span, value: Span) -> Self {
        Self { name, value, known: Known::Other, nominated: false }
    }
}

/// A field list as the tokeniser leaves it.
pub(crate) type Places = SmallVec<[Place; INLINE_FIELDS]>;

/// One header field. Only [`Headers`] makes it, so its name is a token in lower case and its value holds no
/// CR, LF or NUL: it can be written as it stands.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    known: Known,
    nominated: bool,
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Which name it is.
    pub fn known(&self) -> Known {
        self.known
    }

    /// The name in lower case.
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The value without surrounding whitespace.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// Whether it ends at this connection: by its name, or because `Connection` names it (RFC 9110 §7.6.1).
    pub fn is_hop_by_hop(&self) -> bool {
        self.nominated || self.known.is_hop_by_hop()
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (value hidden)", String::from_utf8_lossy(self.name))
    }
}

/// What to look for in [`Headers`]: a [`Known`] name (one byte compared), or any name in lower case.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// By one byte.
    Known(Known),
    /// By its text, in lower case.
    Text(&'a [u8]),
}

impl From<Known> for Key<'_> {
    fn from(known: Known) -> Self {
        Self::Known(known)
    }
}

impl<'a> From<&'a [u8]> for Key<'a> {
    fn from(name: &'a [u8]) -> Self {
        match Known::of(name) {
            Known::Other => Self::Text(name),
            known => Self::Known(known),
        }
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(name: &'a str) -> Self {
        Self::from(name.as_bytes())
    }
}

/// Header fields in the order in which they came, duplicates kept.
///
/// INVARIANT: names are tokens in lower case, values hold no control character but HTAB; the text only ever
/// grows, so that spans into it stay valid.
#[derive(Clone, Default)]
pub struct Headers {
    text: BytesMut,
    places: Places,
}

impl Headers {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty list with room for `bytes` of text.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { text: BytesMut::with_capacity(bytes), places: Places::new() }
    }

    /// Takes a tokenised head: lower-cases the names in place and recognises them.
    pub(crate) fn from_places(mut text: BytesMut, mut places: Places) -> Self {
        for place in &mut places {
            if let Some(name) = text.get_mut(place.name.range()) {
                name.make_ascii_lowercase();
                place.known = Known::of(name);
            }
        }
        Self { text, places }
    }

    /// Appends text that spans will point to.
    pub(crate) fn append_text(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// Copies a map, as HTTP/2 gives it, behind what is there.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] when a value holds a control character.
    pub(crate) fn extend_from_map(&mut self, map: &HeaderMap) -> Result<(), HeadError> {
        let size = map.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.text.reserve(size);
        for (name, value) in map {
            self.push(name.as_str().as_bytes(), value.as_bytes())?;
        }
        Ok(())
    }

    /// Copies a map, as HTTP/2 gives it.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] when a value holds a control character.
    pub fn from_map(map: &HeaderMap) -> Result<Self, HeadError> {
        let mut headers = Self::new();
        headers.extend_from_map(map)?;
        Ok(headers)
    }

    /// Appends a field; the name may be in any case.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] when the name is no token or the value holds a control character
    /// (RFC 9110 §5.1, §5.5). Nothing is appended then.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        if !is_token(name) {
            return Err(HeadError::Malformed("a field name is not a token"));
        }
        let value = value.trim_ascii();
        if !is_field_value(value) {
            return Err(HeadError::Malformed("a field value holds a control character"));
        }
        let at = self.text.len();
        let spans = Span::new(at, name.len()).zip(Span::new(at + name.len(), value.len()));
        let Some((name_span, value_span)) = spans else {
            return Err(HeadError::HeadTooLarge("the fields exceed 4 GiB"));
        };
        self.text.reserve(name.len() + value.len());
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        let mut place = Place::new(name_span, value_span);
        if let Some(name) = self.text.get_mut(name_span.range()) {
            name.make_ascii_lowercase();
            place.known = Known::of(name);
        }
        self.places.push(place);
        Ok(())
    }

    /// Drops every field of this name.
    pub fn remove<'k>(&mut self, key: impl Into<Key<'k>>) {
        let (key, text) = (key.into(), &self.text);
        self.places.retain(|place| !matches(place, key, text));
    }

    /// Keeps the fields that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        let text = &self.text;
        self.places.retain(|place| keep(field(place, text)));
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields().map(|field| (field.name, field.value))
    }

    /// The fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.places.iter().map(|place| field(place, &self.text))
    }

    /// The first value of this name.
    pub fn first<'k>(&self, key: impl Into<Key<'k>>) -> Option<&[u8]> {
        let key = key.into();
        self.places
            .iter()
            .find(|place| matches(place, key, &self.text))
            .map(|place| place.value.of(&self.text))
    }

    /// All values of this name, in order.
    pub fn all<'k>(&self, key: impl Into<Key<'k>>) -> impl Iterator<Item = &[u8]> {
        let key = key.into();
        self.places
            .iter()
            .filter(move |place| matches(place, key, &self.text))
            .map(|place| place.value.of(&self.text))
    }

    /// How many fields have this name.
    pub fn count<'k>(&self, key: impl Into<Key<'k>>) -> usize {
        self.all(key).count()
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Marks the fields of this name (in any case) as belonging to the connection (RFC 9110 §7.6.1).
    pub(crate) fn nominate(&mut self, name: &[u8]) {
        let text = &self.text;
        for place in &mut self.places {
            place.nominated |= place.name.of(text).eq_ignore_ascii_case(name);
        }
    }

    /// The text that spans of this head point into.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Lower-cases the text of a span.
    pub(crate) fn lower(&mut self, span: Span) {
        if let Some(text) = self.text.get_mut(span.range()) {
            text.make_ascii_lowercase();
        }
    }

    /// The places, with what was recognised.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Known, Span, Span)> {
        self.places.iter().map(|place| (place.known, place.name, place.value))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fields()).finish()
    }
}

fn matches(place: &Place, key: Key<'_>, text: &[u8]) -> bool {
    match key {
        Key::Known(known) => place.known == known,
        Key::Text(name) => place.known == Known::Other && place.name.of(text) == name,
    }
}

fn field<'a>(place: &Place, text: &'a [u8]) -> Field<'a> {
    Field {
        known: place.known,
        nominated: place.nominated,
        name: place.name.of(text),
        value: place.value.of(text),
    }
}

/// Whether `name` is a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| is_token_byte(*byte))
}

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Whether `value` may be a field's value: visible characters, SP, HTAB and obs-text (RFC 9110 §5.5).
pub(crate) fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}
