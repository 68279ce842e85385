//! The program as it is installed, against a real API server: the chart by Helm, objects by
//! kubectl, its RBAC by the token of its ServiceAccount.

mod support;

mod admission {
    mod argo_cd;
    mod authored_weights;
    mod bad_clients;
    mod gitops;
    mod linkerd_config;
    mod overload;
    mod policy;
    mod protection;
    mod stored_objects;
    mod warnings;
    mod webhook;
}
mod alerts {
    mod alertmanager;
    mod prometheus_rule;
    mod senders;
}
mod api_server {
    mod etcd_restore;
    mod list_responses;
    mod other_writers;
    mod outages;
    mod slow_writes;
    mod throttling;
}
mod certificates {
    mod files;
    mod rotation;
}
mod chart {
    mod flow_control;
    mod guard;
    mod helm_test;
    mod namespaced;
    mod own_namespace;
    mod predecessor;
    mod rbac;
    mod readme;
    mod side_by_side;
    mod templates;
}
mod cli {
    mod by_hand;
    mod check;
    mod drill;
    mod migrate;
    mod plan;
    mod status;
    mod uninstall;
    mod validate;
}
mod deletion_guard {
    mod exceptions;
    mod losses;
    mod many_pods;
    mod refused_deletions;
    mod routes;
    mod scale_down;
    mod webhook_conditions;
    mod webhook_faults;
}
mod docs {
    mod figures;
    mod links;
    mod pages;
    mod reader;
    mod replicas;
    mod scene;
    mod shell;
}
mod failover {
    mod annotations;
    mod brake;
    mod declared_down;
    mod left_behind;
    mod nothing_ready;
    mod ports;
    mod routes;
    mod service_profiles;
    mod split_versions;
    mod traffic_splits;
}
mod linked_clusters {
    mod declared_down;
    mod failover;
    mod links;
    mod liveness;
    mod reachability;
}
mod metrics {
    mod dashboard;
    mod object_faults;
    mod prometheus;
    mod replica_faults;
    mod rules;
    mod served;
}
mod notifications {
    mod conditions;
    mod delivery;
}
mod replicas {
    mod restarts;
    mod standby;
}
