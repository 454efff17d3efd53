//! `[[user]]`: people declared in the file.
//!
//! Invariant: a hash that could not be checked at sign-in, or would cost too much there, is refused here.

use super::problem::ProblemCode;
use super::reader::{Named, Reader, Section};
use authority::oauth::DeclaredPerson;

/// People of one file; beyond, a directory (SCIM) or an import is the way.
const USERS: usize = 1024;

/// Reads every `[[user]]`.
pub(super) fn read_users(reader: &mut Reader<'_>, root: &mut Section<'_>) -> Vec<DeclaredPerson> {
    let mut users = Vec::new();
    for section in reader.tables(root, Named::User) {
        if users.len() == USERS {
            let message = format!("more than {USERS} users");
            reader.problem(ProblemCode::Value, &section.at, message);
            break;
        }
        users.extend(read_user(reader, section));
    }
    users
}

fn read_user(reader: &mut Reader<'_>, mut section: Section<'_>) -> Option<DeclaredPerson> {
    let person = section.require(reader, "email", |reader, field| {
        let text = reader.text(field)?;
        match DeclaredPerson::new(&text) {
            Ok(person) => {
                reader.declare(Named::User, person.email(), &field.at);
                Some(person)
            }
            Err(_) => {
                let message = "is no e-mail address";
                reader.hinted(ProblemCode::Value, &field.at, message, "name@example.com");
                None
            }
        }
    });
    // WHY also without an address: all mistakes are told at once.
    let sound = person.is_some();
    let mut read = person.or_else(|| DeclaredPerson::new("nobody@example.com").ok())?;
    section.read(reader, "name", |reader, field| {
        let name = reader.text(field)?;
        let done = read.set_name(&name);
        done.map_err(|error| reader.problem(ProblemCode::Value, &field.at, error.to_string())).ok()
    });
    section.read(reader, "groups", |reader, field| {
        let groups = reader.some(field, |reader, item| reader.text(item))?;
        let done = read.set_groups(&groups);
        done.map_err(|error| reader.problem(ProblemCode::Value, &field.at, error.to_string())).ok()
    });
    section.read(reader, "password_hash", |reader, field| {
        let hash = reader.secret(field)?;
        let done = read.set_password_hash(hash);
        done.map_err(|error| {
            let hint = "`portcullis user export --with-hashes` writes such hashes";
            reader.hinted(ProblemCode::Value, &field.at, error.to_string(), hint);
        })
        .ok()
    });
    if let Some(disabled) = section.read(reader, "disabled", Reader::boolean) {
        read.set_disabled(disabled);
    }
    section.finish(reader);
    sound.then_some(read)
}
