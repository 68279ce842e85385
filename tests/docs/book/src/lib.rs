//! The documentation as a browser shows it: built by mdBook's own library, and its links followed.

pub mod book;
pub mod html;
