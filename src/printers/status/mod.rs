//! `status`: where the traffic of each object is, since when, why, and what it waits for.

pub(crate) mod change;
pub(crate) mod document;
pub(crate) mod frame;
pub(crate) mod goal;
pub(crate) mod line;
pub(crate) mod screen;
pub(crate) mod tables;

#[cfg(test)]
mod cost_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watch_tests;
