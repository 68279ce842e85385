//! Clients of API servers: the connections that callers wait for, and the proxies that lead there.

pub mod proxied;
pub mod proxy_rules;
pub mod quick_client;
