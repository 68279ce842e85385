//! The program as it is installed, against a real API server: the chart by Helm, objects by
//! kubectl, its RBAC by the token of its ServiceAccount.

mod admission;
mod api_server_away;
mod bad_clients;
mod chart;
mod failover;
mod gitops;
mod other_writers;
mod overload;
mod policies;
mod replicas;
mod restarts;
mod stage;
