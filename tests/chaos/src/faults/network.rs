//! Faults between a replica and an API server, by the proxy on loopback.

use super::Made;
use crate::facts::Side;
use crate::plan::Family;
use std::time::Duration;
use test_cluster::ApiProxy;

/// Everything that a replica asks.
const ALL: &str = "/";
/// What its decisions rest on.
const WATCHES: [&str; 4] = ["/endpointslices", "/trafficsplits", "/services", "routes"];
const RESET: Duration = Duration::from_millis(400);
const STATUS: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"made by chaos","reason":"InternalError","code":CODE}"#;
/// Bytes a second.
const TRICKLE: u32 = 2_000;

/// Between one replica and the east.
pub(super) async fn between(mut made: Made<'_>) -> anyhow::Result<()> {
    let replica = made.world.victim(made.fault.replica).await;
    let disturbed = made.world.disturbances.replica(replica, Side::East);
    let proxy = &made.world.proxies[replica];
    let length = made.fault.length;
    match made.fault.family {
        Family::Delay => proxy.delay(ALL, Duration::from_millis(made.random.u64(50..=900))),
        Family::HalfOpen => proxy.freeze(ALL),
        Family::OneDirection => proxy.freeze_answers(ALL),
        Family::Throttled => proxy.limit(ALL, TRICKLE),
        Family::SilentWatch => proxy.freeze_watches(WATCHES[made.random.usize(..WATCHES.len())]),
        Family::LateEvents => proxy.freeze_watches(WATCHES[0]),
        Family::TooManyRequests => proxy.throttle("/namespaces/chaos-", 1),
        Family::Error500 => answer(proxy, 500),
        Family::Error503 => answer(proxy, 503),
        Family::TokenExpired => answer(proxy, 401),
        Family::LostAnswer => proxy.lose_answers("/namespaces/chaos-"),
        Family::Reset => reset(proxy, length).await,
        _ => {}
    }
    if made.fault.family != Family::Reset {
        made.last().await;
    }
    proxy.thaw();
    drop(disturbed);
    Ok(())
}

/// Between both replicas and the west.
pub(super) async fn west(made: Made<'_>) -> anyhow::Result<()> {
    let world = made.world;
    let replicas = 0..world.replicas.len();
    let disturbed: Vec<_> =
        replicas.map(|replica| world.disturbances.replica(replica, Side::West)).collect();
    let proxy = &world.west_proxy;
    match made.fault.family {
        Family::WestReset => reset(proxy, made.fault.length).await,
        Family::WestErrors => answer(proxy, 503),
        _ => proxy.freeze(ALL),
    }
    if made.fault.family != Family::WestReset {
        made.last().await;
    }
    proxy.thaw();
    drop(disturbed);
    Ok(())
}

fn answer(proxy: &ApiProxy, status: u16) {
    let body = STATUS.replace("CODE", &status.to_string());
    proxy.answer(ALL, status, "application/json", &body);
}

async fn reset(proxy: &ApiProxy, length: Duration) {
    let end = tokio::time::Instant::now() + length;
    while tokio::time::Instant::now() < end {
        proxy.cut();
        tokio::time::sleep(RESET).await;
    }
}
