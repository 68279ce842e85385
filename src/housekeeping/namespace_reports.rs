//! Reports that namespaces may not be read, so that what they ask for of the objects in them is not known.

use crate::events::{EventAction, EventReason, NewEvent, Regarding};
use crate::housekeeping::leader_reports::LeaderReports;
use crate::index::store::Index;
use crate::kinds::ObjectKey;
use crate::telemetry::report_once::ReportOnce;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often to look. An API server that has just started forbids everything for a moment: what is forbidden at
/// two looks is reported.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// An Event has no room for more.
const MOST_NAMES: usize = 5;

/// Runs until `stop`.
pub(crate) async fn report_namespaces(reports: LeaderReports, stop: CancellationToken) {
    let LeaderReports { shared, deployment, leading, recorder } = reports;
    let (mut published, mut before) = (ReportOnce::default(), None);
    loop {
        let seen = problem(&shared.read(), &deployment);
        let lasting = seen.clone().filter(|problem| before.as_ref() == Some(problem));
        before = seen;
        if *leading.borrow()
            && published.changes(lasting.clone())
            && let Some(note) = lasting
        {
            recorder.publish(event(deployment.clone(), note));
        }
        let pause = tokio::time::sleep(LOOK_EVERY);
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// What may not be read, what that means, and the lines that mend it.
fn problem(index: &Index, account: &ObjectKey) -> Option<String> {
    let scopes: Vec<Option<&str>> = index.forbidden_namespaces().collect();
    if scopes.is_empty() {
        return None;
    }
    let names: Vec<&str> = scopes.into_iter().flatten().collect();
    let what = match names.len() {
        0 => "namespaces".to_owned(),
        1..=MOST_NAMES => format!("namespaces {}", names.join(", ")),
        many => format!("{many} of the namespaces that it manages"),
    };
    let line = if names.len() > MOST_NAMES { String::new() } else { grant(account, &names) };
    Some(format!(
        "{account} may not list {what}: what they ask for by the annotation protection and the label guard is not known. Of objects that ask for nothing themselves, standby shares and added retries stay as they are. Install the ClusterRole of this version's chart{line}"
    ))
}

/// The commands that give the right.
fn grant(ObjectKey { namespace, name }: &ObjectKey, only: &[&str]) -> String {
    let only: String = only.iter().map(|name| format!(" --resource-name={name}")).collect();
    format!(
        ", or: kubectl create clusterrole {name}-namespaces --verb=get,list,watch --resource=namespaces{only} && kubectl create clusterrolebinding {name}-namespaces --clusterrole={name}-namespaces --serviceaccount={namespace}:{name}"
    )
}

/// About the Deployment: it is the program that cannot read.
fn event(deployment: ObjectKey, note: String) -> NewEvent {
    let regarding = Regarding::deployment(deployment);
    NewEvent::warning(regarding, EventReason::NamespacesNotRead, EventAction::Read, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_read_is_reported_with_what_it_means_and_the_lines_that_mend_it() {
        let account = ObjectKey::new("linkerd-failover", "linkerd-failover");
        let mut index = Index::default();
        assert_eq!(problem(&index, &account), None);
        index.namespaces_forbidden(None);
        insta::assert_snapshot!(problem(&index, &account).unwrap(), @"linkerd-failover/linkerd-failover may not list namespaces: what they ask for by the annotation protection and the label guard is not known. Of objects that ask for nothing themselves, standby shares and added retries stay as they are. Install the ClusterRole of this version's chart, or: kubectl create clusterrole linkerd-failover-namespaces --verb=get,list,watch --resource=namespaces && kubectl create clusterrolebinding linkerd-failover-namespaces --clusterrole=linkerd-failover-namespaces --serviceaccount=linkerd-failover:linkerd-failover");
        index.namespaces_listed(None);
        assert_eq!(problem(&index, &account), None);
        index.namespaces_forbidden(Some("a"));
        index.namespaces_forbidden(Some("b"));
        let named = problem(&index, &account).unwrap();
        assert!(named.contains("may not list namespaces a, b:"), "{named}");
        assert!(named.contains("--resource-name=a --resource-name=b &&"), "{named}");
        ["c", "d", "e", "f"].iter().for_each(|name| index.namespaces_forbidden(Some(name)));
        let many = problem(&index, &account).unwrap();
        assert!(many.contains("6 of the namespaces") && !many.contains("kubectl"), "{many}");
    }
}
