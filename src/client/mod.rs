//! Clients of API servers: the connections that callers wait for, and the proxies that lead there.

pub(crate) mod cluster;
pub(crate) mod plain_client;
pub(crate) mod proxied;
pub(crate) mod proxy_rules;
pub(crate) mod quick_client;
pub(crate) mod transport;
