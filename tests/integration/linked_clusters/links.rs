//! Clusters are linked and unlinked while the program runs; what it is given it keeps to itself.

use crate::support::linked_clusters::*;
use crate::support::*;
use anyhow::Result;
use test_cluster::Workload;

/// The webhook's warning about a mirror whose remote Service has nothing ready.
const NONE_READY: &str = "cluster west, where it has no ready endpoints";

#[tokio::test(flavor = "multi_thread")]
async fn a_link_comes_later_gets_another_token_and_goes_and_all_of_it_is_noticed() -> Result<()> {
    let (east, west) = east_and_west().await?;
    let installation = install(&east, 1, &[CREDENTIALS]).await?;
    let (here, there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    here.deploy("backup", 1).await?;
    here.discovery_mirror("emoji-svc", "west").await?;
    here.apply(&split("emoji", &["emoji-svc-west", "backup-svc"])).await?;
    let splits = splits(&east, "emojivoto");
    let replica = &installation.replicas()[0];

    // Without a link: not known is not down, and no better than what is known to be ready.
    wait_warned(&here, "no credentials for cluster west", true).await?;
    here.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 0.0, 1.0]).await?;

    let first = link(&east, &west).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0, 0.0]).await?;

    // The old token ends, and with the API server every watch that it had begun.
    let second = first.rotated(&west).await?;
    second.apply(&east).await?;
    west.stop_api_server(true).await?;
    wait_reachable(replica, Some(0.0)).await?;
    west.start_api_server().await?;
    wait_reachable(replica, Some(1.0)).await?;
    there.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 0.0, 1.0]).await?;
    there.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0, 0.0]).await?;

    // Unlinked, it keeps what it has.
    second.remove(&east).await?;
    wait_reachable(replica, None).await?;
    wait_warned(&here, "no credentials for cluster west", true).await?;
    assert_eq!(weights(&splits.get("emoji").await?), [0.0, 1.0, 0.0]);
    let logs = logs(&installation)?;
    assert!(!logs.contains(first.token()) && !logs.contains(second.token()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_in_another_namespace_widens_the_watch_and_disturbs_nobody() -> Result<()> {
    let (east, west) = east_and_west().await?;
    link(&east, &west).await?;
    let installation = install(&east, 1, &[CREDENTIALS]).await?;
    let replica = &installation.replicas()[0];
    let mut west_of = vec![];
    for namespace in ["emojivoto", "books"] {
        let (here, there) =
            (Workload::new(&east, namespace).await?, Workload::new(&west, namespace).await?);
        here.deploy_emoji(1).await?;
        there.deploy_emoji(0).await?;
        here.discovery_mirror("emoji-svc", "west").await?;
        let split = split("emoji", &["emoji-svc-west"]);
        here.apply(&split.replace("namespace: emojivoto", &format!("namespace: {namespace}")))
            .await?;
        wait_reachable(replica, Some(1.0)).await?;
        // The cluster being reachable does not say that this namespace has been listed: its
        // endpoints, none and then one, do.
        wait_warned(&here, NONE_READY, true).await?;
        there.scale("emoji", 1).await?;
        wait_warned(&here, NONE_READY, false).await?;
        here.scale("emoji", 0).await?;
        let moved = wait_weights(&splits(&east, namespace), "emoji", &[0.0, 1.0]).await?;
        assert!(state(&moved).unwrap().sets[""].why.contains("1 of 1 endpoints ready"));
        west_of.push((here, there));
    }
    for (here, there) in &west_of {
        there.scale("emoji", 0).await?;
        wait_warned(here, NONE_READY, true).await?;
    }
    let transitions =
        r#"linkerd_failover_remote_transitions_total{cluster="west",to="unreachable"}"#;
    assert_eq!(metric(&replica.get("/metrics").await?, transitions), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_that_points_to_files_or_is_refused_is_reported_and_not_quoted() -> Result<()>
{
    let (east, west) = east_and_west().await?;
    let first = link(&east, &west).await?;
    let good = first.kubeconfig();
    let path = "/home/ana/.minikube/ca.crt";
    let inline = good.lines().find(|line| line.contains("certificate-authority-data")).unwrap();
    let bad = good.replace(inline, &format!("    certificate-authority: {path}"));
    first.apply_kubeconfig(&east, &bad).await?;
    let values = [CREDENTIALS, "remoteUnreachableAfter=1s", "logLevel=debug"];
    let installation = install(&east, 1, &values).await?;
    let (here, _there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    here.discovery_mirror("emoji-svc", "west").await?;
    here.apply(&split("emoji", &["emoji-svc-west"])).await?;
    let replica = &installation.replicas()[0];

    let event = wait_link_event(&east, &first, "RemoteRefused").await?;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let note = event.note.unwrap_or_default();
    for words in ["certificate-authority: found the path of a file", "--flatten"] {
        assert!(note.contains(words), "{words}: {note}");
    }
    wait_reachable(replica, Some(0.0)).await?;

    // Linked as it should be, and then let in no more: the API answers, so it is not down.
    first.apply(&east).await?;
    wait_reachable(replica, Some(1.0)).await?;
    first.rotated(&west).await?;
    west.stop_api_server(true).await?;
    wait_reachable(replica, Some(0.0)).await?;
    west.start_api_server().await?;
    wait_warned(&here, "no access to cluster west: its API server does not know", true).await?;

    let logs = logs(&installation)?;
    for secret in [first.token(), path, inline.trim()] {
        assert!(!logs.contains(secret), "the log has {secret}");
        assert!(!note.contains(secret), "the Event has {secret}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_read_in_the_namespaces_of_the_links_and_nowhere_else() -> Result<()> {
    let (east, _west) = east_and_west().await?;
    install(&east, 1, &[CREDENTIALS]).await?;
    for (allowed, question) in [
        (true, ["list", "secrets", "--namespace=linkerd-multicluster"]),
        (true, ["watch", "secrets", "--namespace=linkerd-multicluster"]),
        (true, ["create", "events.events.k8s.io", "--namespace=linkerd-multicluster"]),
        (false, ["update", "secrets", "--namespace=linkerd-multicluster"]),
        (false, ["list", "secrets", "--namespace=linkerd-failover"]),
        (false, ["list", "secrets", "--namespace=kube-system"]),
        (false, ["list", "secrets", "--all-namespaces"]),
    ] {
        assert_eq!(may(&east, &question).await?, allowed, "{question:?}");
    }
    Ok(())
}
