//! The connections of the process: what hangs on one holds up no other.

use crate::client::{plain_client, quick_client};
use crate::informers::list_watch::READ_TIMEOUT;
use crate::reconciler::in_flight::WriteClients;
use kube::{Client, Config};

/// Clients by what they are for.
pub(crate) struct Clients {
    /// For everything that no caller waits for: watches, Events, the Lease.
    pub ordinary: Client,
    /// For reads before a flip: writes that hang are not before them.
    pub reads: Client,
    pub writes: WriteClients,
    pub profile_writes: WriteClients,
}

impl Clients {
    pub(crate) fn new(mut config: Config) -> anyhow::Result<Self> {
        // A connection that died is found by its silence: no cache is older than this.
        config.read_timeout = Some(READ_TIMEOUT);
        config.reset_reader_on_write = true;
        let writes = || -> anyhow::Result<WriteClients> {
            let connect = || quick_client::connect(config.clone());
            Ok(WriteClients { fast: connect()?, slow: connect()? })
        };
        Ok(Self {
            ordinary: plain_client::connect(config.clone())?,
            reads: quick_client::connect(config.clone())?,
            writes: writes()?,
            profile_writes: writes()?,
        })
    }
}
