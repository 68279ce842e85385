//! Warnings at apply, where Linkerd sees something otherwise than people think.

use crate::support::linked_clusters::*;
use crate::support::*;
use anyhow::Result;

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_hide_a_loss_and_a_remote_that_sends_back_are_warned_about_at_apply()
-> Result<()> {
    let (east, west) = east_and_west().await?;
    link(&east, &west).await?;
    let _installation = install(&east, 1, &[CREDENTIALS]).await?;
    let (here, there) = (emoji_in(&east).await?, emoji_in(&west).await?);
    here.mirror("emoji-svc", "west").await?;
    here.apply(&emoji()).await?;
    wait_warned(&here, "go round", false).await?;

    // West mirrors us, too, and forgets us again.
    there.mirror("emoji-svc", "east").await?;
    wait_warned(&here, "if an object there falls back to emoji-svc-east", true).await?;
    there.kubectl(["delete", "service", "emoji-svc-east"]).ok().await?;
    wait_warned(&here, "go round", false).await?;

    let settings =
        r#"{"spec": {"internalTrafficPolicy": "Local", "publishNotReadyAddresses": true}}"#;
    here.kubectl(["patch", "service", "emoji-svc", "-p", settings]).ok().await?;
    wait_warned(&here, "internalTrafficPolicy: Local", true).await?;
    wait_warned(&here, "publishNotReadyAddresses: true", true).await?;
    Ok(())
}
