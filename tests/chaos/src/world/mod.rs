//! What faults happen to: two clusters, replicas, Services, and 300 failover objects.

pub mod objects;
