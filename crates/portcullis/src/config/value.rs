//! Values that several sections share: addresses, spans, names, scopes.

use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use super::text::{is_name, is_scope, parse_duration, parse_size, show_duration};
use access::iplist::parse_net;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::time::Duration;

/// Scopes that one rule or key names at most.
pub(super) const SCOPES: usize = 64;

impl Reader<'_> {
    /// An address and port to listen on.
    pub(super) fn bind(&mut self, field: &Field<'_>) -> Option<SocketAddr> {
        let text = self.text(field)?;
        let bind = text.parse::<SocketAddr>().ok();
        if bind.is_none() {
            let hint = match text.parse::<u16>().ok() {
                Some(port) => format!("write \"127.0.0.1:{port}\" or \"0.0.0.0:{port}\""),
                None => "write an IP address and a port, such as \"127.0.0.1:8000\"".to_owned(),
            };
            self.hinted(ProblemCode::Value, &field.at, "not an address with a port", hint);
        }
        if bind.is_some_and(|bind| bind.port() == 0) {
            self.problem(ProblemCode::Value, &field.at, "the port must not be 0");
            return None;
        }
        bind
    }

    /// A span within bounds.
    pub(super) fn duration(
        &mut self,
        field: &Field<'_>,
        low: Duration,
        high: Duration,
    ) -> Option<Duration> {
        let text = match field.value {
            toml::de::DeValue::String(text) => text.clone().into_owned(),
            _ => {
                self.wrong_type(field, "a duration such as \"30s\"");
                return None;
            }
        };
        let Some(span) = parse_duration(&text) else {
            let message = format!("{text:?} is not a duration");
            let hint = "write a whole number and one of ms, s, m, h, d, such as \"30s\"";
            self.hinted(ProblemCode::Value, &field.at, message, hint);
            return None;
        };
        if span < low || span > high {
            let (low, high) = (show_duration(low), show_duration(high));
            let message = format!("must lie between {low} and {high}");
            self.problem(ProblemCode::Value, &field.at, message);
            return None;
        }
        Some(span)
    }

    /// A size in bytes.
    pub(super) fn size(&mut self, field: &Field<'_>) -> Option<u64> {
        let text = match field.value {
            toml::de::DeValue::String(text) => text.clone().into_owned(),
            _ => {
                self.wrong_type(field, "a size such as \"10MiB\"");
                return None;
            }
        };
        let size = parse_size(&text);
        if size.is_none() {
            let message = format!("{text:?} is not a size");
            let hint = "write a whole number and one of B, KB, KiB, MB, MiB, GB, GiB";
            self.hinted(ProblemCode::Value, &field.at, message, hint);
        }
        size
    }

    /// A scope.
    pub(super) fn scope(&mut self, field: &Field<'_>) -> Option<String> {
        let text = self.text(field)?;
        if is_scope(&text) {
            return Some(text);
        }
        let hint = match text.contains(' ') {
            true => "write one list item for each scope",
            false => "at most 128 visible ASCII characters without quotes and backslash",
        };
        self.hinted(ProblemCode::Value, &field.at, format!("{text:?} is not a scope"), hint);
        None
    }

    /// The scopes of a rule, each once.
    pub(super) fn scopes(&mut self, field: &Field<'_>) -> Option<Vec<String>> {
        let read: Vec<_> = self.list(field)?.iter().map(|item| self.scope(item)).collect();
        let mut scopes = read.into_iter().collect::<Option<Vec<_>>>()?;
        if scopes.len() > SCOPES {
            let message = format!("more than {SCOPES} scopes");
            self.problem(ProblemCode::Value, &field.at, message);
        }
        scopes.sort();
        scopes.dedup();
        Some(scopes)
    }

    /// The `name` of a section, declared for references.
    pub(super) fn name(&mut self, section: &mut Section<'_>, kind: Named) -> String {
        let name = section.require(self, "name", |reader, field| {
            let text = reader.text(field)?;
            if !is_name(&text) {
                let message = format!("{text:?} is not a name");
                let hint = "1 to 64 of A-Z, a-z, 0-9, '-', '_', '.'";
                reader.hinted(ProblemCode::Value, &field.at, message, hint);
            }
            reader.declare(kind, &text, &field.at);
            Some(text)
        });
        name.unwrap_or_default()
    }

    /// A network or single address; v4-mapped IPv6 becomes IPv4.
    pub(super) fn network(&mut self, field: &Field<'_>) -> Option<IpNet> {
        let text = self.text(field)?;
        match parse_net(&text) {
            Ok(network) => Some(network),
            Err(error) => {
                self.problem(ProblemCode::Value, &field.at, format!("{text:?}: {error}"));
                None
            }
        }
    }
}
