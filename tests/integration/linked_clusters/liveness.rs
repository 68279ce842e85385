//! What stands where a linked cluster's API server should: an answer of it is no outage of it.

use crate::support::linked_clusters::*;
use crate::support::*;
use anyhow::{Context, Result};
use serde_json::json;
use std::time::Duration;
use test_cluster::{ApiProxy, Link, Replica};

const LIMIT: &str = "remoteUnreachableAfter=1s";
/// Longer than that, a watch's retries and the moment of doubt before them.
const LONG_ENOUGH: Duration = Duration::from_secs(10);

async fn transitions(replica: &Replica, to: &str) -> Result<Option<f64>> {
    let name = format!("linkerd_failover_remote_transitions_total{{cluster=\"west\",to=\"{to}\"}}");
    Ok(metric(&replica.get("/metrics").await?, &name))
}

/// Its kubeconfig with one line in place of another.
fn with_line(link: &Link, begins: &str, line: &str) -> Result<String> {
    let good = link.kubeconfig();
    let there =
        good.lines().find(|line| line.trim().starts_with(begins)).context("no such line")?;
    Ok(good.replace(there, line))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_verify_is_never_down_by_time_and_linking_again_mends_it()
-> Result<()> {
    let (east, west) = east_and_west().await?;
    let link = link(&east, &west).await?;
    let installation = install(&east, 1, &[CREDENTIALS, LIMIT]).await?;
    let replica = &installation.replicas()[0];
    let (here, _there) = west_active(&east, &west, replica).await?;
    let splits = splits(&east, "emojivoto");

    let ca = "certificate-authority-data:";
    let of_east = Link::to("east", "https://x", &east).kubeconfig();
    let of_east = of_east.lines().find(|line| line.contains(ca)).context("no CA")?;
    let name = format!(
        "{}\n    tls-server-name: api.elsewhere.example",
        link.kubeconfig().lines().find(|line| line.contains(ca)).context("no CA")?
    );
    for (nth, (line, words)) in
        [(of_east, "is not signed by the CA"), (&*name, "is for other names")].iter().enumerate()
    {
        link.apply_kubeconfig(&east, &with_line(&link, ca, line)?).await?;
        wait_reachable(replica, Some(0.0)).await?;
        tokio::time::sleep(LONG_ENOUGH).await;
        assert_eq!(weights(&splits.get("emoji").await?), [0.0, 1.0, 0.0], "{words}");
        assert_eq!(transitions(replica, "unverified").await?, Some(nth as f64 + 1.0));
        let state = r#"linkerd_failover_remote_state{cluster="west",state="unverified"}"#;
        assert_eq!(metric(&replica.get("/metrics").await?, state), Some(1.0));
        let annotate = ["annotate", "trafficsplit", "emoji", "note=x", "--dry-run=server"];
        let reply = here.kubectl(annotate).output().await?.stderr;
        assert!(
            reply.contains("cluster west cannot be verified") && reply.contains(words),
            "{reply}"
        );

        link.apply(&east).await?;
        wait_reachable(replica, Some(1.0)).await?;
    }
    let event = wait_link_event(&east, &link, "RemoteUnverified").await?;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let note = event.note.unwrap_or_default();
    assert!(note.contains("linkerd multicluster link-gen"), "{note}");
    assert_eq!(transitions(replica, "down").await?, None);
    assert_eq!(transitions(replica, "unreachable").await?, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_answers_with_errors_lives_and_a_page_before_a_dead_one_shows_no_life()
-> Result<()> {
    let (east, west) = east_and_west().await?;
    let proxy = ApiProxy::start(&west)?;
    let link = Link::create(&west, "west").await?;
    let through = with_line(&link, "server:", &format!("    server: {}", proxy.url()))?;
    link.apply_kubeconfig(&east, &through).await?;
    let installation = install(&east, 1, &[CREDENTIALS, LIMIT]).await?;
    let replica = &installation.replicas()[0];
    let (_here, _there) = west_active(&east, &west, replica).await?;
    let splits = splits(&east, "emojivoto");

    for (code, reason) in [(503, "ServiceUnavailable"), (429, "TooManyRequests")] {
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "reason": reason, "code": code});
        proxy.answer("", code, "application/json", &status.to_string());
        // With it ends what was being watched.
        west.stop_api_server(true).await?;
        wait_reachable(replica, Some(0.0)).await?;
        tokio::time::sleep(LONG_ENOUGH).await;
        assert_eq!(weights(&splits.get("emoji").await?), [0.0, 1.0, 0.0], "{code}");
        assert!(transitions(replica, "failing").await? >= Some(1.0));
        assert_eq!(transitions(replica, "down").await?, None);
        west.start_api_server().await?;
        proxy.thaw();
        wait_reachable(replica, Some(1.0)).await?;
    }
    wait_link_event(&east, &link, "RemoteFailing").await?;

    proxy.answer("", 503, "text/html", "<html><h1>503 Service Unavailable</h1></html>");
    west.stop_api_server(true).await?;
    wait_weights(&splits, "emoji", &[0.0, 0.0, 1.0]).await?;
    let event = wait_link_event(&east, &link, "RemoteUnreachable").await?;
    let note = event.note.unwrap_or_default();
    assert!(note.contains("is no Kubernetes API server (HTTP status 503)"), "{note}");
    wait_link_event(&east, &link, "RemoteDown").await?;

    // One that was down and answers again is unknown: nothing comes back before it is seen.
    let status = json!({"kind": "Status", "apiVersion": "v1", "code": 503});
    proxy.answer("", 503, "application/json", &status.to_string());
    let state = r#"linkerd_failover_remote_state{cluster="west",state="failing"}"#;
    test_cluster::eventually("west fails", PATIENCE, || async {
        let value = metric(&replica.get("/metrics").await?, state);
        anyhow::ensure!(value == Some(1.0), "{value:?}");
        Ok(())
    })
    .await?;
    assert_eq!(weights(&splits.get("emoji").await?), [0.0, 0.0, 1.0]);
    Ok(())
}
