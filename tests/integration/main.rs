//! The program as it is installed, against a real API server: the chart by Helm, objects by
//! kubectl, its RBAC by the token of its ServiceAccount.

mod admission;
mod admission_policy;
mod ahead;
mod ahead_losses;
mod ahead_never;
mod ahead_refused;
mod api_server_away;
mod bad_clients;
mod certificate_files;
mod certificates;
mod chart;
mod chart_readme;
mod failover;
mod gitops;
mod guard_webhooks;
mod helm_test;
mod load;
mod migrate;
mod namespaced;
mod other_writers;
mod overload;
mod policies;
mod predecessor;
mod remote;
mod remote_links;
mod remote_reach;
mod replicas;
mod restarts;
mod routes;
mod service_profiles;
mod side_by_side;
mod stage;
mod two_clusters;
