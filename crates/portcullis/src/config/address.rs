//! `[[ip_list]]`: named lists of addresses.

use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use access::iplist::Entry as IpEntry;
use toml::de::DeValue;

/// Entries of one side of a list. 100,000 are common (published block lists), a million are slow to read.
const ENTRIES: usize = 1_000_000;
/// Names of one file that are resolved again and again.
const NAMES: usize = 256;

/// One list. An address is on it when `allow` holds it and `deny` does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpList {
    /// Its name, which routes and `portcullis ip` refer to.
    pub name: String,
    /// `allow`. May be empty: entries can be added at run time.
    pub allow: Vec<IpEntry>,
    /// `deny`: wins over `allow`.
    pub deny: Vec<IpEntry>,
}

/// Reads every `[[ip_list]]`.
pub(super) fn read_ip_lists(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Vec<IpList> {
    let mut names = 0;
    let mut lists = Vec::new();
    for mut section in reader.tables(root, Named::IpList) {
        let name = reader.name(&mut section, Named::IpList);
        let allow =
            section.read(reader, "allow", |reader, field| read_entries(reader, field, &mut names));
        let deny =
            section.read(reader, "deny", |reader, field| read_entries(reader, field, &mut names));
        let at = section.at.clone();
        section.finish(reader);
        let (allow, deny) = (allow.unwrap_or_default(), deny.unwrap_or_default());
        if allow.is_empty() && !deny.is_empty() {
            let message = "the list allows nobody until `portcullis ip allow` adds somebody";
            let hint = "for everybody but the denied write allow = [\"0.0.0.0/0\", \"::/0\"]";
            reader.hinted(ProblemCode::NoEffect, &at, message, hint);
        }
        lists.push(IpList { name, allow, deny });
    }
    lists
}

fn read_entries(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    names: &mut usize,
) -> Option<Vec<IpEntry>> {
    if matches!(field.value, DeValue::Array(array) if array.len() > ENTRIES) {
        reader.problem(ProblemCode::Value, &field.at, format!("more than {ENTRIES} entries"));
        return None;
    }
    reader.each(field, |reader, item| read_entry(reader, item, names))
}

fn read_entry(reader: &mut Reader<'_>, field: &Field<'_>, names: &mut usize) -> Option<IpEntry> {
    let text = reader.text(field)?;
    let entry = match text.parse::<IpEntry>() {
        Ok(entry) => entry,
        Err(error) => {
            reader.problem(ProblemCode::Value, &field.at, format!("{text:?}: {error}"));
            return None;
        }
    };
    if let IpEntry::Name(_) = entry {
        *names += 1;
        if *names == NAMES + 1 {
            let message = format!("more than {NAMES} `dns:` entries in one file");
            reader.problem(ProblemCode::Value, &field.at, message);
        }
    }
    Some(entry)
}
