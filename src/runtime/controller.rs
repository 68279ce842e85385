//! `linkerd-failover controller`: the parts of the server, in the order in which facts flow through
//! them.

use crate::informers::freeze_end::end_freezes;
use crate::informers::sources::{WatchSettings, watch_all};
use crate::runtime::clients::Clients;
use crate::runtime::options::Options;
use crate::runtime::process::Process;
use crate::runtime::tasks::Tasks;
use crate::runtime::{admin, housekeeping, leadership, notifications, reconciler, webhook};

/// Runs until SIGTERM or SIGINT.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    log_start(&options);
    let clients = Clients::new(options.cluster.clone())?;
    let drain = options.drain;
    let (process, changes) = Process::new(options, clients.ordinary.clone());
    let mut tasks = Tasks::default();

    start_informers(&process, &mut tasks);
    let leadership = leadership::start(&process, &mut tasks);
    let events = reconciler::start_events(&process, &mut tasks);
    let notifier = notifications::start(&process, &leadership, &events, &mut tasks)?;
    housekeeping::start(&process, &leadership, &events.recorder, &notifier, &mut tasks);
    let recorder = events.recorder.clone();
    let announcements =
        reconciler::start(&process, clients, changes, &leadership, events, notifier, &mut tasks);
    let reconciler = webhook::ReconcilerHandles { announcements, recorder };
    let certificates = webhook::start(&process, &leadership, reconciler, &mut tasks).await?;
    admin::start(&process, certificates, &mut tasks).await?;
    tasks.run_until_signalled(drain).await
}

fn log_start(options: &Options) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        selector = options.selector.as_str(),
        namespace = options.installation.namespace,
        namespaces = ?options.namespaces,
        replica = &*options.identity.replica,
        "starting"
    );
}

/// Watches of this cluster, into the index.
fn start_informers(process: &Process, tasks: &mut Tasks) {
    let options = &process.options;
    let settings = WatchSettings {
        selector: options.selector.clone(),
        families: options.families,
        defaults: options.defaults,
        namespace: options.installation.namespace.clone(),
        namespaces: options.namespaces.clone(),
        warns: options.webhook.is_some(),
        writes_profiles: options.profiles_of.is_some(),
    };
    let (client, index) = (process.client.clone(), process.index.clone());
    let watches = process.metrics.watches.clone();
    tasks.background.spawn(watch_all(client, settings, index, watches));
    tasks.background.spawn(end_freezes(process.index.clone()));
}
