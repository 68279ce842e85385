//! What commands of people show: text from rows, a time and a width, without I/O.
//!
//! ```text
//!  rows ──► table, document ──► standard output
//!   │  └──► frame ──► Screen ──► a terminal, in place
//!   └─ before, now ──► changes ──► a pipe, a line each
//! ```

mod age;
pub(crate) mod style;
mod table;

pub(crate) mod explanation;
pub(crate) mod plan;
pub(crate) mod status;

#[cfg(test)]
mod test_support;
