//! The definitions that tests install are served, keep what is written, and refuse what the real
//! ones refuse.

use test_cluster::Cluster;

const ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: emoji, namespace: default}
spec:
  parentRefs: [{group: '', kind: Service, name: emoji, port: 80}]
  rules:
  - backendRefs: [{name: emoji, port: 80, weight: 1}, {name: emoji-west, port: 80, weight: 0}]
";

const PROFILE: &str = "
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {name: emoji.default.svc.cluster.local, namespace: default}
spec:
  opaquePorts: ['25']
  retryBudget: {minRetriesPerSecond: 10, retryRatio: 0.2, ttl: 10s}
  routes:
  - name: find
    timeout: 1s
    condition: {all: [{method: GET}, {pathRegex: /find}]}
    responseClasses: [{isFailure: true, condition: {status: {min: 500, max: 599}}}]
  dstOverrides:
  - {authority: emoji.default.svc.cluster.local, weight: 1}
  - {authority: emoji-west.default.svc.cluster.local, weight: 500m}
";

#[tokio::test]
async fn routes_and_profiles_are_served_and_routes_can_go_again() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    cluster.install_gateway_api_crds().await?;
    cluster.install_service_profile_crd().await?;

    cluster.apply(ROUTE).await?;
    let excess = ROUTE.replace("weight: 1}", "weight: 1000001}");
    let refused = cluster.apply(&excess).await.unwrap_err().to_string();
    assert!(refused.contains("less than or equal to 1000000"), "{refused}");

    cluster.apply(PROFILE).await?;
    let kept = cluster.kubectl(["get", "sp", "-o", "jsonpath={.items[0].spec}"]).ok().await?;
    let kept: serde_json::Value = serde_json::from_str(&kept)?;
    assert_eq!(kept["dstOverrides"][1]["weight"], "500m");
    assert_eq!(kept["routes"][0]["condition"]["all"][1]["pathRegex"], "/find");
    let wrong = PROFILE.replace("500m", "half");
    let refused = cluster.apply(&wrong).await.unwrap_err().to_string();
    assert!(refused.contains("dstOverrides[1].weight"), "{refused}");

    cluster.remove_gateway_api_crds().await?;
    cluster.apply(ROUTE).await.expect_err("routes are not served");
    // They can come back.
    cluster.install_gateway_api_crds().await?;
    cluster.apply(ROUTE).await?;
    Ok(())
}
