//! The process: its tasks, and the order in which they start and end.

pub(crate) mod listen;
pub(crate) mod tasks;
