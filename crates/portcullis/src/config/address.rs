//! `[[ip_list]]`: named lists of addresses.

use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use super::self_service;
use access::iplist::{Entry as IpEntry, LIST_ENTRIES};
use authority::oauth::SelfService;

/// Names of one file that are resolved again and again.
const NAMES: usize = 256;

/// One list. An address is on it when `deny` does not hold it and `allow`, where there is one, does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpList {
    /// Its name, which routes and `portcullis ip` refer to.
    pub name: String,
    /// `allow`. Empty lets nobody in until entries are added at run time; absent lets in all but the denied.
    pub allow: Option<Vec<IpEntry>>,
    /// `deny`: wins over `allow`. At least one of the two is present.
    pub deny: Option<Vec<IpEntry>>,
    /// Who may add their own address. Nobody, where it is absent.
    pub self_service: Option<SelfService>,
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
        let own = section.field("self_service");
        let self_service = own.as_ref().and_then(|field| self_service::read(reader, field, &name));
        if let Some(field) = &own {
            self_service::lint(reader, section.has("deny") && !section.has("allow"), &field.at);
        }
        let at = section.at.clone();
        let declared = section.has("allow") || section.has("deny");
        section.finish(reader);
        if !declared {
            let message = "the list has neither `allow` nor `deny`";
            let hint = "write allow = [] for a list that `portcullis ip allow` fills";
            reader.hinted(ProblemCode::Missing, &at, message, hint);
        }
        let entries = [&allow, &deny].into_iter().flatten().map(Vec::len).sum::<usize>();
        if entries > LIST_ENTRIES {
            let message = format!("more than {LIST_ENTRIES} entries");
            reader.problem(ProblemCode::Value, &at, message);
        }
        lists.push(IpList { name, allow, deny, self_service });
    }
    lists
}

fn read_entries(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    names: &mut usize,
) -> Option<Vec<IpEntry>> {
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
