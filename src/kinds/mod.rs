//! Kubernetes kinds and names. A kind of failover object is an adapter: it reads a
//! [`Declaration`](crate::engine::Declaration) and writes weights; it decides nothing.

pub(crate) mod adapter;
pub(crate) mod changed_by;
pub(crate) mod declared_down;
mod edit;
pub(crate) mod field_writers;
pub(crate) mod hash;
mod kind;
pub(crate) mod last_applied;
pub(crate) mod linkerd;
pub(crate) mod managed_fields;
mod object_key;
pub(crate) mod one_line;
pub(crate) mod partial;
pub(crate) mod pods;
pub(crate) mod policy_route;
pub(crate) mod retries;
pub(crate) mod route;
pub(crate) mod selector;
pub mod service_profile;
pub mod traffic_split;
mod value;

pub use edit::Edit;
pub use kind::Kind;
pub(crate) use object_key::{ObjectKey, ObjectRef};

use kube::core::response::reason;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The field manager of every write of the controller and the webhook.
pub const FIELD_MANAGER: &str = "linkerd-failover";

/// That of what people write by commands: what the other one owns is the controller's alone.
pub(crate) const CLI_MANAGER: &str = "linkerd-failover-cli";

/// The message of an API error, without the structure around it.
pub fn brief(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}

/// Whether Kubernetes itself answered that an object is not there. A page of whatever stands before
/// an API server is none, nor is the plain 404 for a kind that is not served.
pub fn is_absent(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 404 && status.reason == reason::NOT_FOUND,
        _ => false,
    }
}

/// Reads an object; none where it is known not to be there.
pub async fn get_known<K>(api: &kube::Api<K>, name: &str) -> kube::Result<Option<K>>
where
    K: Clone + DeserializeOwned + Debug,
{
    match api.get(name).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn only_an_answer_of_kubernetes_itself_means_that_an_object_is_absent() {
        let answer = |reason: &str, code| {
            kube::Error::Api(Status::failure("x", reason).with_code(code).boxed())
        };
        assert!(is_absent(&answer("NotFound", 404)));
        // As kube reads a page of HTML, and a path that no API server serves.
        assert!(!is_absent(&answer("Failed to parse error data", 404)));
        assert!(!is_absent(&answer("NotFound", 503)));
        assert!(!is_absent(&kube::Error::Service("no connection".into())));
    }
}
