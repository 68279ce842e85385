//! The client for LISTs, watches, and whatever else is not urgent.

use crate::client::quick_client;
use kube::{Client, Config};

/// kube's own client, or one through the proxy that the configuration names.
pub(crate) fn connect(config: Config) -> anyhow::Result<Client> {
    match config.proxy_url {
        None => Ok(Client::try_from(config)?),
        Some(_) => quick_client::connect(config),
    }
}
