//! Requests as the API server's audit log has them.

use serde::Deserialize;
use std::collections::BTreeMap;

/// An audit event, as far as it is counted by.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditEvent {
    stage: String,
    verb: String,
    user: User,
    #[serde(default, rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    object_ref: ObjectRef,
}

#[derive(Debug, Deserialize)]
struct User {
    username: String,
}

/// Of a request that is about no object of the API all is empty.
#[derive(Debug, Default, Deserialize)]
struct ObjectRef {
    #[serde(default)]
    resource: String,
}

/// How often users whose name begins so have called the API, by verb and resource, or path where it is none: each
/// call once, when it ends. Watches are left out, and the Lease, which is renewed whatever happens. Lines that are no audit
/// events, as the last one may be while it is written, are left out too.
pub fn calls(log: &str, user: &str) -> BTreeMap<String, usize> {
    let mut calls = BTreeMap::new();
    for line in log.lines() {
        let Ok(event) = serde_json::from_str::<AuditEvent>(line) else { continue };
        let ends = matches!(event.stage.as_str(), "ResponseComplete" | "Panic");
        let counts = event.verb != "watch" && event.object_ref.resource != "leases";
        if ends && counts && event.user.username.starts_with(user) {
            let path = event.request_uri.split('?').next().unwrap_or_default();
            let what = Some(&*event.object_ref.resource).filter(|resource| !resource.is_empty());
            let call = format!("{} {}", event.verb, what.unwrap_or(path));
            *calls.entry(call.trim_end().to_owned()).or_default() += 1;
        }
    }
    calls
}

/// The calls of a time in which something happened that are not made as well at rest, in as much time: those
/// that are made now and then may come once more, or twice, by chance.
pub fn caused(
    busy: &BTreeMap<String, usize>,
    at_rest: &BTreeMap<String, usize>,
) -> BTreeMap<String, usize> {
    let beyond = |(call, count): (&String, &usize)| {
        let expected = at_rest.get(call).map_or(2, |count| count + count / 2 + 2);
        (*count > expected).then(|| (call.clone(), count - expected))
    };
    busy.iter().filter_map(beyond).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const OURS: &str = "system:serviceaccount:linkerd-failover:";

    fn line(stage: &str, verb: &str, resource: &str, user: &str) -> String {
        json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
            "stage": stage, "verb": verb, "user": {"username": user, "groups": []},
            "objectRef": {"resource": resource, "namespace": "emojivoto"}})
        .to_string()
    }

    fn of_ours(stage: &str, verb: &str, resource: &str) -> String {
        line(stage, verb, resource, "system:serviceaccount:linkerd-failover:linkerd-failover")
    }

    #[test]
    fn the_lease_watches_and_other_users_do_not_count() {
        let log = [
            of_ours("ResponseComplete", "update", "leases"),
            of_ours("ResponseStarted", "watch", "endpointslices"),
            of_ours("ResponseComplete", "watch", "endpointslices"),
            line("ResponseComplete", "patch", "endpointslices", "kubernetes-admin"),
            line("ResponseComplete", "list", "services", "system:serviceaccount:linkerd:x"),
        ];
        assert_eq!(calls(&log.join("\n"), OURS), BTreeMap::new());
    }

    #[test]
    fn a_planted_call_counts_once() {
        let log = [
            of_ours("ResponseComplete", "update", "leases"),
            of_ours("RequestReceived", "get", "services"),
            of_ours("ResponseComplete", "get", "services"),
        ];
        let one = BTreeMap::from([("get services".to_owned(), 1)]);
        assert_eq!(calls(&log.join("\n"), OURS), one);
    }

    #[test]
    fn a_call_of_no_resource_has_its_path() {
        let line = json!({"stage": "ResponseComplete", "verb": "get", "requestURI": "/apis?timeout=1s",
            "user": {"username": format!("{OURS}linkerd-failover")}});
        assert_eq!(calls(&line.to_string(), OURS), BTreeMap::from([("get /apis".to_owned(), 1)]));
    }

    #[test]
    fn what_is_called_at_rest_too_is_not_caused_and_planted_calls_are() {
        let counts = |calls: &[(&str, usize)]| -> BTreeMap<String, usize> {
            calls.iter().map(|(call, count)| ((*call).to_owned(), *count)).collect()
        };
        let at_rest = counts(&[("get /version", 12), ("get secrets", 1)]);
        assert_eq!(
            caused(&counts(&[("get /version", 14), ("get secrets", 2)]), &at_rest),
            counts(&[])
        );
        let busy = counts(&[("get /version", 12), ("list endpointslices", 9)]);
        assert_eq!(caused(&busy, &at_rest), counts(&[("list endpointslices", 7)]));
        let amplified = counts(&[("get secrets", 1_000)]);
        assert_eq!(caused(&amplified, &at_rest), counts(&[("get secrets", 997)]));
    }

    #[test]
    fn a_line_that_is_written_yet_is_left_out() {
        let whole = of_ours("ResponseComplete", "list", "services");
        let log = format!("{whole}\n{}", &whole[..whole.len() / 2]);
        assert_eq!(calls(&log, OURS).values().sum::<usize>(), 1);
    }
}
