//! Starts housekeeping.

use crate::engine::annotations;
use crate::events::Recorder;
use crate::housekeeping::cluster_reports::report_cluster;
use crate::housekeeping::declaration_reports::{DeclarationReports, report_declarations};
use crate::housekeeping::ended_declarations::{EndedDeclarations, remove_ended};
use crate::housekeeping::leader_reports::LeaderReports;
use crate::housekeeping::link_reports::report_links;
use crate::housekeeping::linkerd_config::{LinkerdConfigReader, read_linkerd_config};
use crate::housekeeping::namespace_reports::report_namespaces;
use crate::housekeeping::own_namespace::{NamespaceLabeller, label_own_namespace};
use crate::housekeeping::unmanaged_objects::{UnmanagedScan, scan_unmanaged};
use crate::index::store::Index;
use crate::informers::linkerd_config::LinkerdConfig;
use crate::informers::remote::links::{LinkSettings, watch_links};
use crate::notifications::Notifier;
use crate::runtime::leadership::Leadership;
use crate::runtime::process::Process;
use crate::runtime::tasks::Tasks;
use tokio::sync::mpsc;

/// Starts every task of it.
pub(crate) fn start(
    process: &Process,
    leadership: &Leadership,
    recorder: &Recorder,
    notifier: &Notifier,
    tasks: &mut Tasks,
) {
    start_links(process, leadership, recorder, notifier, tasks);
    start_declarations(process, leadership, recorder, tasks);
    start_labeller(process, leadership, recorder, tasks);
    start_scan(process, leadership, recorder, tasks);
    start_config_reader(process, leadership, recorder, tasks);
    start_reports(process, leadership, recorder, tasks);
}

fn start_reports(
    process: &Process,
    leadership: &Leadership,
    recorder: &Recorder,
    tasks: &mut Tasks,
) {
    let reports = LeaderReports {
        shared: process.index.clone(),
        deployment: process.options.installation.deployment(),
        leading: leadership.leading.clone(),
        recorder: recorder.clone(),
    };
    let stop = &tasks.working.stop;
    tasks.working.tasks.spawn(report_namespaces(reports.clone(), stop.clone()));
    tasks.working.tasks.spawn(report_cluster(reports, stop.clone()));
}

/// For warnings at apply.
fn start_config_reader(
    process: &Process,
    leadership: &Leadership,
    recorder: &Recorder,
    tasks: &mut Tasks,
) {
    let options = &process.options;
    if options.webhook.is_none() {
        return;
    }
    let own = options.installation.deployment();
    let (client, namespace) = (process.client.clone(), options.linkerd.namespace.clone());
    let reader = LinkerdConfigReader {
        config: LinkerdConfig::new(client, namespace, own.clone()),
        every: options.linkerd.read_every,
        shared: process.index.clone(),
        deployment: own,
        leading: leadership.leading.clone(),
        recorder: recorder.clone(),
        metrics: process.metrics.clone(),
    };
    tasks.working.tasks.spawn(read_linkerd_config(reader, tasks.working.stop.clone()));
}

/// Every replica watches the linked clusters: a standby and each webhook need their facts too.
fn start_links(
    process: &Process,
    leadership: &Leadership,
    recorder: &Recorder,
    notifier: &Notifier,
    tasks: &mut Tasks,
) {
    let Some(options) = &process.options.links else {
        process.index.update(Index::set_credentials_tried);
        return;
    };
    let settings = LinkSettings {
        namespaces: options.namespaces.clone(),
        families: process.options.families,
        limit: options.unreachable_after,
        watches: process.metrics.watches.clone(),
    };
    let (publish, transitions) = mpsc::unbounded_channel();
    let (client, index) = (process.client.clone(), process.index.clone());
    let watch = watch_links(client, settings, index, process.linked.clone(), publish);
    tasks.background.spawn(watch);
    let (leading, recorder) = (leadership.leading.clone(), recorder.clone());
    let (metrics, stop) = (process.metrics.clone(), tasks.working.stop.clone());
    let report = report_links(transitions, leading, recorder, notifier.clone(), metrics, stop);
    tasks.working.tasks.spawn(report);
}

/// Reports what is declared down, and removes what has run out where this program may patch Services.
fn start_declarations(
    process: &Process,
    leadership: &Leadership,
    recorder: &Recorder,
    tasks: &mut Tasks,
) {
    let reports = DeclarationReports {
        client: process.client.clone(),
        shared: process.index.clone(),
        leading: leadership.leading.clone(),
        recorder: recorder.clone(),
        metrics: process.metrics.clone(),
    };
    tasks.working.tasks.spawn(report_declarations(reports, tasks.working.stop.clone()));
    if process.options.patches_services() {
        let ended = EndedDeclarations {
            client: process.client.clone(),
            shared: process.index.clone(),
            leading: leadership.leading.clone(),
        };
        tasks.working.tasks.spawn(remove_ended(ended, tasks.working.stop.clone()));
    }
}

fn start_labeller(
    process: &Process,
    leadership: &Leadership,
    recorder: &Recorder,
    tasks: &mut Tasks,
) {
    let installation = &process.options.installation;
    let labeller = NamespaceLabeller {
        client: process.client.clone(),
        namespace: installation.namespace.clone(),
        name: installation.name.clone(),
        leading: leadership.leading.clone(),
        recorder: recorder.clone(),
        metrics: process.metrics.clone(),
    };
    tasks.working.tasks.spawn(label_own_namespace(labeller, tasks.working.stop.clone()));
}

fn start_scan(process: &Process, leadership: &Leadership, recorder: &Recorder, tasks: &mut Tasks) {
    let options = &process.options;
    let namespace = &options.installation.namespace;
    let scan = UnmanagedScan {
        client: process.client.clone(),
        shared: process.index.clone(),
        selector: options.selector.clone(),
        namespaces: options.namespaces.clone(),
        name: options.installation.name.clone(),
        namespace: namespace.clone(),
        record: options.uses_lease.then(|| process.lease_annotation(annotations::MANAGES)),
        leading: leadership.leading.clone(),
        recorder: recorder.clone(),
        metrics: process.metrics.clone(),
    };
    tasks.working.tasks.spawn(scan_unmanaged(scan, tasks.working.stop.clone()));
}
