//! The program as it is installed, against a real API server: the chart by Helm, objects by
//! kubectl, its RBAC by the token of its ServiceAccount.

mod admission;
mod api_server_away;
mod bad_clients;
mod certificate_files;
mod certificates;
mod chart;
mod failover;
mod other_writers;
mod policies;
mod replicas;
mod stage;
