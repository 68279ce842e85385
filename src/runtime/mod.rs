//! Puts the parts of the process together, starts and stops them in order.

mod admin;
mod clients;
pub(crate) mod controller;
mod housekeeping;
mod leadership;
mod listen;
mod notifications;
pub(crate) mod options;
mod process;
mod reconciler;
mod tasks;
mod webhook;
