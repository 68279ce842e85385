//! What the leader looks after beside failover: objects that are no longer managed, the program's own
//! namespace, and the reports of linked clusters.

pub(crate) mod leftover_weights;
pub(crate) mod link_reports;
pub(crate) mod managed_scope;
pub(crate) mod own_namespace;
pub(crate) mod unmanaged_objects;
