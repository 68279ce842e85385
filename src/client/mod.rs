//! Clients of API servers, and the proxies in between.

pub(crate) mod causes;
pub(crate) mod cluster;
pub(crate) mod plain_client;
pub(crate) mod proxied;
pub(crate) mod proxy_rules;
pub(crate) mod quick_client;
pub(crate) mod request_times;
pub(crate) mod throttled;
pub(crate) mod token_reviews;
pub(crate) mod transport;
