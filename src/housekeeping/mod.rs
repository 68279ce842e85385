//! What the leader looks after beside failover: objects that are no longer managed, the program's own
//! namespace, and what people are told of linked clusters.

pub(crate) mod left_behind;
pub(crate) mod linked;
pub(crate) mod managed_namespaces;
pub(crate) mod own_namespace;
pub(crate) mod survey;
