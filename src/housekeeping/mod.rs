//! Tasks of the leader beside failover: reports of what is declared down, of objects that are
//! not managed, of linked clusters and of freezes, and the label of its own namespace.

pub(crate) mod cluster_reports;
pub(crate) mod declaration_reports;
pub(crate) mod declarations;
pub(crate) mod ended_declarations;
pub(crate) mod leader_reports;
pub(crate) mod leftover_weights;
pub(crate) mod link_reports;
pub(crate) mod linkerd_config;
pub(crate) mod managed_scope;
pub(crate) mod namespace_reports;
pub(crate) mod own_namespace;
pub(crate) mod unmanaged_objects;
