//! The webhook through real kubectl.

use crate::stage::*;
use anyhow::Result;

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_refuses_what_cannot_fail_over_and_costs_no_live_object() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 2, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");

    // A Service and the split that names it, in one file: the cache cannot have seen the first.
    let services: String = (0..5)
        .map(|i| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata:\n  name: late-{i}\nspec:\n  ports: [{{name: grpc, port: 8080}}]\n---\n{}---\n",
                manifest(&format!("late-{i}"), &format!("late-{i}"), &["emoji-svc-west"])
            )
        })
        .collect();
    workload.apply(&services).await?;

    workload.apply(&emoji()).await?;
    let live = splits.get("emoji").await?;

    // kubectl's own words, with the field, what was found, and the guess.
    let typo = emoji().replace("emoji-svc-west", "emoji-svc-wset");
    let refused = workload.kubectl(["apply", "-f", "-"]).stdin(&typo).output().await?;
    assert!(!refused.status.success());
    for words in [
        "admission webhook \"validate.failover.linkerd.io\" denied the request",
        "spec.backends[1].service: found \"emoji-svc-wset\", which does not exist",
        "did you mean emoji-svc-west?",
    ] {
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }

    // On 403 --force gives up; on 422 or 409 it would delete the live object and create it anew.
    for how in [
        vec!["apply", "--force", "-f", "-"],
        vec!["apply", "--server-side", "--force-conflicts", "-f", "-"],
        vec!["replace", "-f", "-"],
    ] {
        let refused = workload.kubectl(how).stdin(&typo).output().await?;
        assert!(
            !refused.status.success() && refused.stderr.contains("denied"),
            "{}",
            refused.stderr
        );
    }
    let after = splits.get("emoji").await?;
    assert_eq!((after.metadata.uid, after.data), (live.metadata.uid, live.data));

    // The other rules, as kubectl prints them.
    let cases = [
        ("twice", emoji().replace("emoji-svc-west", "emoji-svc"), "spec.backends[1].service"),
        (
            "stranger",
            emoji().replace(
                "  labels:",
                "  annotations: {failover.linkerd.io/primary-service: web-svc}\n  labels:",
            ),
            "primary-service",
        ),
        (
            "fraction",
            emoji().replace("weight: 0", "weight: 0.5"),
            "spec.backends[1].weight: found 0.5",
        ),
        (
            "negative",
            emoji().replace("weight: 0", "weight: -1"),
            "spec.backends[1].weight: found -1",
        ),
        (
            "quantity",
            emoji().replace("weight: 0", "weight: 500m").replace("v1alpha2", "v1alpha1"),
            "found \"500m\"",
        ),
        ("large", emoji().replace("weight: 0", "weight: 429497"), "429496"),
        (
            "apex",
            emoji().replace("  service: emoji-svc\n", "  service: nowhere\n"),
            "spec.service: found \"nowhere\"",
        ),
    ];
    for (name, text, words) in cases {
        let text = text.replace("name: emoji\n", &format!("name: {name}\n"));
        let refused = workload.kubectl(["create", "-f", "-"]).stdin(&text).output().await?;
        assert!(
            refused.stderr.contains("denied the request") && refused.stderr.contains(words),
            "{name}: {}",
            refused.stderr
        );
    }

    // Legal, but worth a word.
    let warned = emoji().replace("name: emoji\n", "name: second\n").replace(
        "  labels:",
        "  annotations: {failover.linkerd.io/primary-servce: emoji-svc}\n  labels:",
    );
    let said = workload.kubectl(["create", "-f", "-"]).stdin(&warned).output().await?;
    assert!(said.status.success(), "{}", said.stderr);
    assert!(said.stderr.contains("the apex of emoji too"), "{}", said.stderr);
    assert!(
        said.stderr.contains("did you mean failover.linkerd.io/primary-service?"),
        "{}",
        said.stderr
    );
    workload.kubectl(["delete", "trafficsplit", "second"]).ok().await?;

    // With the webhook stopped applies are refused (failurePolicy Fail), but failover works: the
    // controller's own writes bypass it.
    installation.webhook_down()?;
    let refused = workload
        .kubectl(["apply", "-f", "-"])
        .stdin(emoji().replace("weight: 1", "weight: 2"))
        .output()
        .await?;
    assert!(refused.stderr.contains("failed calling webhook"), "{}", refused.stderr);
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    installation.webhook_up()?;

    // The label taken off: the author's weights come back in the same write.
    test_cluster::eventually("the label comes off", PATIENCE, || {
        workload.kubectl(["label", "trafficsplit/emoji", "failover.linkerd.io/controlled-by-"]).ok()
    })
    .await?;
    let released = splits.get("emoji").await?;
    assert_eq!(weights(&released), [1.0, 0.0]);
    assert!(annotation(&released, "state").is_none());
    Ok(())
}
