//! A small SQL reader: one `SELECT` over the table `events`.
//!
//! ```text
//! SELECT [DISTINCT] * | item [AS name], …      items: columns, literals, substr, lower, upper,
//! FROM events                                  count(*), count([DISTINCT] x), sum, min, max, avg
//! [WHERE condition]                            = != <> < <= > >= AND OR NOT IN LIKE BETWEEN IS NULL
//! [GROUP BY item, …] [HAVING condition] [ORDER BY item [ASC|DESC], …] [LIMIT n [OFFSET n]]
//! ```
//!
//! `count(*)` counts rows; a row may stand for many folded denials, which `sum(count)` counts.
//!
//! Never does: read files. It is given rows and bounds what it keeps of them.

mod columns;
mod error;
mod evaluate;
mod lex;
mod parse;
mod plan;
mod run;
mod value;

pub use columns::COLUMNS;
pub use error::QueryError;
pub(crate) use parse::parse;
pub(crate) use run::Run;

#[cfg(test)]
mod tests;
