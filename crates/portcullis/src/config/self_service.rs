//! `self_service` of an `[[ip_list]]`: who may let their own address in, and for how long.
//!
//! Invariant: one that has lost a part is none; it could only let more in.

use super::problem::ProblemCode;
use super::reader::{At, Field, Reader};
use super::sign_in;
use authority::oauth::{SELF_SERVICE, SELF_SERVICE_LONGEST, SelfService};
use std::time::Duration;

/// The shortest: below it an entry is over before it was used.
const SHORTEST: Duration = Duration::from_secs(60);

/// Reads the table; `list` is the name of its list.
pub(super) fn read(reader: &mut Reader<'_>, field: &Field<'_>, list: &str) -> Option<SelfService> {
    let mut table = reader.table(field)?;
    let has = ["for", "private"].map(|key| table.has(key));
    let groups =
        table.require(reader, "groups", |reader, field| sign_in::read_groups(reader, field));
    let longest = table.read(reader, "for", |reader, field| {
        reader.duration(field, SHORTEST, SELF_SERVICE_LONGEST)
    });
    let private = table.read(reader, "private", Reader::boolean);
    table.finish(reader);
    if (has[0] && longest.is_none()) || (has[1] && private.is_none()) {
        return None;
    }
    Some(SelfService {
        list: list.to_owned(),
        groups: groups?,
        longest: longest.unwrap_or(SELF_SERVICE),
        private: private.unwrap_or(false),
    })
}

/// A list that holds everybody but the denied has nothing to add anybody to.
pub(super) fn lint(reader: &mut Reader<'_>, open: bool, at: &At) {
    if open {
        let message = "the list lets everybody in but the denied, so nobody needs to be added";
        let hint = "write allow = [] for a list that people add themselves to";
        reader.hinted(ProblemCode::Conflict, at, message, hint);
    }
}
