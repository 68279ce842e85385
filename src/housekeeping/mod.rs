//! What the leader looks after beside failover: objects that are no longer managed, the program's own
//! namespace, and what people are told of linked clusters.

pub mod left_behind;
pub mod linked;
pub mod managed_namespaces;
pub mod own_namespace;
pub mod survey;
