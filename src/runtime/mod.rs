//! The process: its tasks, and the order in which they start and end.

pub mod listen;
pub mod tasks;
