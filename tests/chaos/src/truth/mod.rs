//! What is true, whoever sees it: every change of the keys of a cluster, in the order in which etcd made them.
//!
//! It is read from etcd itself. What an API server answers may be old, and what a replica sees may be held back;
//! no clock is compared.

mod gateway;
mod record;
mod watch;

pub use record::{Change, Resource, StoredKey};
pub use watch::{TruthEvent, follow};
