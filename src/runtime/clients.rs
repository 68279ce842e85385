//! The clients of the process, each with connections of its own: a request that hangs blocks no other
//! kind of request.

use crate::client::{plain_client, quick_client};
use crate::informers::list_watch::READ_TIMEOUT;
use crate::reconciler::in_flight::WriteClients;
use kube::{Client, Config};

/// Clients by purpose.
pub(crate) struct Clients {
    /// For requests that are not urgent: watches, Events, the Lease.
    pub ordinary: Client,
    /// For reads before a flip, which must not queue behind writes that hang.
    pub reads: Client,
    pub writes: WriteClients,
    pub profile_writes: WriteClients,
}

impl Clients {
    pub(crate) fn new(mut config: Config) -> anyhow::Result<Self> {
        // A dead connection is detected by its silence, so that no cache is older than this.
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
