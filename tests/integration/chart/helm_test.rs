//! What `helm test` finds while the webhook validates and while it does not.

use crate::support::*;
use anyhow::Result;
use test_cluster::{HelmTest, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn helm_test_passes_while_the_webhook_validates_and_fails_while_it_does_not() -> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &["webhook.failurePolicy.validating=Ignore"]).await?;
    let test = HelmTest::prepare(&cluster, CHART, &[]).await?;
    eventually("helm test passes", PATIENCE, || async {
        let (passed, reply) = test.run(&cluster).await?;
        anyhow::ensure!(passed && reply.contains("pin-until"), "{reply}");
        Ok(())
    })
    .await?;
    cluster.install_gateway_api_crds().await?;
    eventually("helm test passes with routes too", PATIENCE, || async {
        let (passed, reply) = test.run(&cluster).await?;
        let both = reply.contains("A good split") && reply.contains("A good route");
        anyhow::ensure!(passed && both, "{reply}");
        Ok(())
    })
    .await?;

    installation.webhook_down()?;
    let (passed, reply) = test.run(&cluster).await?;
    assert!(!passed && reply.contains("it was taken"), "{reply}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn its_splits_have_the_labels_that_any_selector_asks_for() -> Result<()> {
    let cluster = cluster().await?;
    cluster.kubectl(["create", "namespace", "emojivoto"]).ok().await?;
    let values = ["selector=team in (a\\, b)\\,!legacy\\,env!=test\\,x", "namespaces={emojivoto}"];
    let test = HelmTest::prepare(&cluster, CHART, &values).await?;
    let script = test.script()?;
    assert!(script.contains(r#"labels: {"team":"a","x":"test"}"#), "{script}");
    // In a namespace that is managed.
    assert_eq!(test.namespace()?, "emojivoto");
    Ok(())
}
