//! The webhook through real kubectl.

use crate::support::*;
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

    // kubectl's own text, with the field, what was found, and the guess.
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

    // On 403 --force gives up; on 422 or 409 it would delete the live object and create it again.
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

    // Legal, but worth a warning.
    let warned = named("second").replace(
        "  labels:",
        "  annotations: {failover.linkerd.io/primary-servce: emoji-svc}\n  labels:",
    );
    let reply = workload.kubectl(["create", "-f", "-"]).stdin(&warned).output().await?;
    assert!(reply.status.success(), "{}", reply.stderr);
    assert!(reply.stderr.contains("the apex of emoji too"), "{}", reply.stderr);
    assert!(
        reply.stderr.contains("did you mean failover.linkerd.io/primary-service?"),
        "{}",
        reply.stderr
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

/// Each way in which people and tools send an object.
fn clients(name: &str) -> Vec<(&'static str, Vec<String>)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let patch = |kind: &str, patch: &str| {
        let mut command = words(&format!("patch trafficsplit {name} --type={kind} -p"));
        command.push(patch.to_owned());
        command
    };
    vec![
        ("apply", words("apply -f -")),
        ("dry run", words("apply --dry-run=server -f -")),
        ("forced apply", words("apply --force -f -")),
        ("server-side apply", words("apply --server-side --force-conflicts -f -")),
        ("replace", words("replace -f -")),
        (
            "merge patch",
            patch(
                "merge",
                r#"{"spec":{"backends":[{"service":"emoji-svc","weight":1},{"service":"emoji-svc-wset","weight":0}]}}"#,
            ),
        ),
        (
            "JSON patch",
            patch(
                "json",
                r#"[{"op":"replace","path":"/spec/backends/1/service","value":"emoji-svc-wset"}]"#,
            ),
        ),
        ("edit", words(&format!("edit trafficsplit {name}"))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_client_gets_the_same_answer_and_no_live_object_suffers() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    for version in ["v1alpha1", "v1alpha2"] {
        let manifest = emoji()
            .replace("name: emoji\n", &format!("name: {version}\n"))
            .replace("io/v1alpha2", &format!("io/{version}"));
        workload.apply(&manifest).await?;
        let live = splits.get(version).await?;
        for (client, command) in clients(version) {
            let output = workload
                .kubectl(command.iter().map(String::as_str))
                .env("KUBE_EDITOR", "sed -i s/emoji-svc-west/emoji-svc-wset/")
                .stdin(manifest.replace("emoji-svc-west", "emoji-svc-wset"))
                .output()
                .await?;
            let reply = format!("{}{}", output.stdout, output.stderr);
            assert!(!output.status.success(), "{version}, {client}: {reply}");
            for words in
                ["found \"emoji-svc-wset\", which does not exist", "did you mean emoji-svc-west?"]
            {
                assert!(reply.contains(words), "{version}, {client}: {reply}");
            }
        }
        let after = splits.get(version).await?;
        assert_eq!(
            (after.metadata.uid, after.metadata.resource_version),
            (live.metadata.uid, live.metadata.resource_version),
            "{version}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_about_services_hold_through_the_api_server() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let service = |name: &str, spec: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n")
    };
    workload.apply(&service("external", "{type: ExternalName, externalName: example.com}")).await?;
    workload.apply(&service("other-port", "{ports: [{port: 80}]}")).await?;
    let with = |fallback: &str| {
        emoji().replace("emoji-svc-west", fallback).replace("name: emoji\n", "name: new\n")
    };
    for (text, words) in [
        (with("external"), "an ExternalName Service"),
        (with("other-port"), "with port 80, expected the ports of the apex emoji-svc: port 8080"),
        // In one file with its Service, which the cache cannot have seen.
        (service("late", "{ports: [{port: 81}]}") + &with("late"), "with port 81, expected"),
        (with("emoji-svc-west.emojivoto"), "write emoji-svc-west if it is in this namespace"),
    ] {
        let refused = workload.kubectl(["create", "-f", "-"]).stdin(&text).output().await?;
        assert!(!refused.status.success() && refused.stderr.contains(words), "{}", refused.stderr);
    }
    let alone = workload.kubectl(["create", "-f", "-"]).stdin(manifest("alone", "emoji-svc", &[]));
    let reply = alone.output().await?.stderr;
    assert!(reply.contains("with one backend there is nowhere to go"), "{reply}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_service_that_failover_rests_on_is_warned_about_and_not_denied() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    // The webhook for Services is asked from its own configuration, a moment later perhaps.
    let words = "Service emoji-svc-west is the fallback of TrafficSplit emoji";
    test_cluster::eventually("a warning about a deletion", PATIENCE, || async {
        let dry = ["delete", "service", "emoji-svc-west", "--dry-run=server"];
        let reply = workload.kubectl(dry).output().await?;
        anyhow::ensure!(reply.status.success() && reply.stderr.contains(words), "{}", reply.stderr);
        Ok(())
    })
    .await?;
    // Nobody is stopped, least of all while the webhook is away.
    installation.webhook_down()?;
    workload.kubectl(["delete", "service", "emoji-svc-west"]).ok().await?;
    Ok(())
}
