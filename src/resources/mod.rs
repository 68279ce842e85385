//! Kubernetes kinds and names. A kind of failover object is an adapter: it reads a
//! [`Declaration`](crate::failover::Declaration) and writes weights; it decides nothing.

mod edit;
mod kind;
pub mod last_applied;
pub mod managed_fields;
mod object_key;
pub mod route;
pub mod selector;
pub mod service_profile;
pub mod traffic_split;
mod value;

pub use edit::Edit;
pub use kind::Kind;
pub use object_key::{ObjectKey, ObjectRef};

/// The field manager of every write of this program.
pub const FIELD_MANAGER: &str = "linkerd-failover";

/// What the API server said, without the structure around it.
pub fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}
