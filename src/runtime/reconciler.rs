//! Starts the reconciler, with its writes and its Events.

use crate::client::quick_client;
use crate::deletion_guard::PendingAnnouncement;
use crate::engine::annotations;
use crate::events::Recorder;
use crate::index::shared_index::ChangedObjects;
use crate::informers::confirm::ConsistentReader;
use crate::notifications::Notifier;
use crate::reconciler::context::{Context, ControllerSettings};
use crate::reconciler::controller::{Controller, ControllerParts};
use crate::reconciler::gates::brake::Ledger;
use crate::reconciler::service_profiles::plan::ProfileSettings;
use crate::runtime::clients::Clients;
use crate::runtime::leadership::Leadership;
use crate::runtime::options::Options;
use crate::runtime::process::Process;
use crate::runtime::tasks::Tasks;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// Announcements that are queued for the reconciler: more would be answered too late.
const ANNOUNCEMENTS: usize = 4096;

/// Publishing of Events.
pub(crate) struct Events {
    pub recorder: Recorder,
    /// Since when no write is in flight: until then no Event is published.
    quiet_since: watch::Sender<Option<Instant>>,
}

impl Events {
    /// Since when no write is in flight.
    pub(crate) fn quiet_since(&self) -> watch::Receiver<Option<Instant>> {
        self.quiet_since.subscribe()
    }
}

/// Starts the publisher of Events.
pub(crate) fn start_events(process: &Process, tasks: &mut Tasks) -> Events {
    let (recorder, publisher) = Recorder::new(process.metrics.clone());
    let (quiet_since, quiet) = watch::channel(Some(Instant::now()));
    let replica = process.options.identity.replica.clone();
    tasks.working.tasks.spawn(publisher.run(process.client.clone(), replica, quiet));
    Events { recorder, quiet_since }
}

/// Starts the reconciler. Returns where it takes announcements of pod deletions.
pub(crate) fn start(
    process: &Process,
    clients: Clients,
    changes: ChangedObjects,
    leadership: &Leadership,
    events: Events,
    notifier: Notifier,
    tasks: &mut Tasks,
) -> mpsc::Sender<PendingAnnouncement> {
    let options = &process.options;
    keep_connections(options, &clients, tasks);
    let namespace = &options.installation.namespace;
    let record = process.lease_annotation(annotations::BRAKE);
    let ledger = Ledger::new(record, options.identity.replica.to_string());
    let (announce, announcements) = mpsc::channel(ANNOUNCEMENTS);
    let reconciler = Controller::new(ControllerParts {
        context: Context {
            me: options.identity.clone(),
            settings: settings(options),
            selector: options.selector.clone(),
            shared: process.index.clone(),
            leading: leadership.leading.clone(),
            namespace: namespace.clone(),
            metrics: process.metrics.clone(),
            recorder: events.recorder,
            notifier,
            quiet_since: events.quiet_since,
        },
        reader: ConsistentReader {
            index: process.index.clone(),
            client: clients.reads,
            linked: process.linked.clone(),
            families: options.families,
        },
        writes: clients.writes,
        profile_writes: clients.profile_writes,
        profiles: profile_settings(options).map(Arc::new),
        ledger,
        brake_record: leadership.brake_record.clone(),
        changes,
        announcements,
    });
    tasks.working.tasks.spawn(reconciler.run(tasks.working.stop.clone()));
    announce
}

/// Keeps connections open, so that no flip begins with a handshake.
fn keep_connections(options: &Options, clients: &Clients, tasks: &mut Tasks) {
    let profiles = options.profiles_of.as_ref().map(|_| &clients.profile_writes.fast);
    let warm = [Some(&clients.writes.fast), Some(&clients.reads), profiles];
    for client in warm.into_iter().flatten() {
        tasks.background.spawn(quick_client::keep_warm(client.clone()));
    }
}

fn settings(options: &Options) -> ControllerSettings {
    ControllerSettings {
        defaults: options.defaults,
        concurrency: options.write_concurrency,
        brake: options.brake,
        deletion_delay: options.deletion_delay,
    }
}

fn profile_settings(options: &Options) -> Option<ProfileSettings> {
    let installation = &options.installation;
    options.profiles_of.as_ref().map(|cluster_domain| ProfileSettings {
        cluster_domain: cluster_domain.clone(),
        by: format!("{}/{}", installation.namespace, installation.name),
        selector: options.selector.clone(),
    })
}
