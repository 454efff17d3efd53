//! Values by their TOML type: strings, numbers, lists, tables, words of a fixed set.
//!
//! Invariant: what cannot be read is a problem and `None`, never a default.

use super::problem::ProblemCode;
use super::reader::{Field, Named, Reader, Section};
use super::text::nearest;
use toml::Spanned;
use toml::de::DeValue;

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl Reader<'_> {
    /// Notes that a value has the wrong type.
    pub(super) fn wrong_type(&mut self, field: &Field<'_>, wanted: &str) {
        let found = kind_of(field.value);
        self.problem(ProblemCode::Type, &field.at, format!("expected {wanted}, found {found}"));
    }

    /// A string that is not empty.
    pub(super) fn text(&mut self, field: &Field<'_>) -> Option<String> {
        match field.value {
            DeValue::String(text) if text.is_empty() => {
                self.problem(ProblemCode::Value, &field.at, "must not be empty");
                None
            }
            DeValue::String(text) => Some(text.clone().into_owned()),
            _ => {
                self.wrong_type(field, "a string");
                None
            }
        }
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, field: &Field<'_>) -> Option<bool> {
        if let DeValue::Boolean(value) = field.value {
            return Some(*value);
        }
        self.wrong_type(field, "true or false");
        None
    }

    /// An integer within bounds.
    pub(super) fn integer(&mut self, field: &Field<'_>, low: u64, high: u64) -> Option<u64> {
        let DeValue::Integer(number) = field.value else {
            self.wrong_type(field, "an integer");
            return None;
        };
        let value = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let value = value.and_then(|value| u64::try_from(value).ok());
        match value.filter(|value| (low..=high).contains(value)) {
            Some(value) => Some(value),
            None => {
                let message = format!("must lie between {low} and {high}");
                self.problem(ProblemCode::Value, &field.at, message);
                None
            }
        }
    }

    /// A table.
    pub(super) fn table<'t>(&mut self, field: &Field<'t>) -> Option<Section<'t>> {
        if let DeValue::Table(table) = field.value {
            return Some(Section::new(table, field.at.clone()));
        }
        self.wrong_type(field, "a table");
        None
    }

    /// The items of a list.
    pub(super) fn list<'t>(&mut self, field: &Field<'t>) -> Option<Vec<Field<'t>>> {
        let DeValue::Array(array) = field.value else {
            self.wrong_type(field, "a list");
            return None;
        };
        let items = array.iter().enumerate();
        Some(items.map(|(index, item)| item_of(field, index, item)).collect())
    }

    /// The tables of `[[key]]`, empty where there is none.
    pub(super) fn tables<'t>(&mut self, root: &mut Section<'t>, kind: Named) -> Vec<Section<'t>> {
        let Some(field) = root.field(kind.section()) else { return Vec::new() };
        if let DeValue::Table(_) = field.value {
            let section = kind.section();
            let hint = format!("write [[{section}]] with double brackets");
            self.hinted(ProblemCode::Type, &field.at, "expected a list of tables", hint);
            return Vec::new();
        }
        let items = self.list(&field).unwrap_or_default();
        items.iter().filter_map(|item| self.table(item)).collect()
    }

    /// One word out of a fixed set.
    pub(super) fn word<T: Copy>(&mut self, field: &Field<'_>, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(field)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let all: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let hint = match nearest(&text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("one of {}", all.join(", ")),
        };
        self.hinted(ProblemCode::Value, &field.at, format!("{text:?} is not possible here"), hint);
        None
    }

    /// A list whose items are read one by one; unreadable items are left out (and are problems).
    pub(super) fn each<'t, T>(
        &mut self,
        field: &Field<'t>,
        mut read: impl FnMut(&mut Self, &Field<'t>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.list(field)?;
        Some(items.iter().filter_map(|item| read(self, item)).collect())
    }

    /// Like [`Reader::each`], but an empty list is a problem.
    pub(super) fn some<'t, T>(
        &mut self,
        field: &Field<'t>,
        read: impl FnMut(&mut Self, &Field<'t>) -> Option<T>,
    ) -> Option<Vec<T>> {
        if let DeValue::Array(array) = field.value
            && array.is_empty()
        {
            self.problem(ProblemCode::Value, &field.at, "the list must not be empty");
            return None;
        }
        self.each(field, read)
    }
}

fn item_of<'t>(list: &Field<'t>, index: usize, item: &'t Spanned<DeValue<'t>>) -> Field<'t> {
    Field { value: item.get_ref(), at: list.at.item(index, item.span()) }
}
