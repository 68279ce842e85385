//! What a kubelet makes of volumes: files.

use crate::kubeconfig::write_secret;
use crate::pod::Pod;
use crate::token::{Purpose, token};
use anyhow::Context;
use k8s_openapi::api::core::v1::{Container, ProjectedVolumeSource};
use std::path::{Path, PathBuf};

/// A kubelet's, where the volume does not say.
const TOKEN_SECONDS: i64 = 3600;

/// Where a container finds its volumes, and where they are on this machine.
#[derive(Debug, Default)]
pub(crate) struct Mounts(Vec<(String, PathBuf)>);

impl Mounts {
    /// Writes the projected volumes that `container` mounts below `home`. Nothing renews their
    /// tokens. Volumes of other kinds are left out: tests put such files where they like.
    pub(crate) async fn write(
        client: &kube::Client,
        pod: &Pod,
        container: &Container,
        home: &Path,
    ) -> anyhow::Result<Self> {
        let mut mounts = Self::default();
        for mount in container.volume_mounts.iter().flatten() {
            let volume = pod.volumes.iter().find(|volume| volume.name == mount.name);
            let Some(projected) = volume.and_then(|volume| volume.projected.as_ref()) else {
                continue;
            };
            let folder = home.join("volumes").join(&mount.name);
            write(client, pod, projected, &folder)
                .await
                .with_context(|| format!("the projected volume {}", mount.name))?;
            mounts.0.push((mount.mount_path.trim_end_matches('/').to_string(), folder));
        }
        Ok(mounts)
    }

    /// `text` with every path into a mount as it is on this machine.
    pub(crate) fn localize(&self, text: &str) -> String {
        self.0.iter().fold(text.to_string(), |text, (path, folder)| {
            let folder = folder.display().to_string();
            let text = text.replace(&format!("{path}/"), &format!("{folder}/"));
            match text.strip_suffix(path.as_str()) {
                Some(rest) => format!("{rest}{folder}"),
                None => text,
            }
        })
    }
}

async fn write(
    client: &kube::Client,
    pod: &Pod,
    projected: &ProjectedVolumeSource,
    folder: &Path,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    for source in projected.sources.iter().flatten() {
        let source = source
            .service_account_token
            .as_ref()
            .context("the stand-in for a kubelet knows serviceAccountToken only")?;
        let purpose = Purpose {
            audience: source.audience.as_deref(),
            seconds: source.expiration_seconds.unwrap_or(TOKEN_SECONDS),
        };
        write_secret(&folder.join(&source.path), &token(client, pod, purpose).await?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_into_a_mount_are_found_wherever_they_stand() {
        let mounts = Mounts(vec![("/var/run/peer".into(), "/home/volumes/peer".into())]);
        assert_eq!(mounts.localize("/var/run/peer/token"), "/home/volumes/peer/token");
        assert_eq!(
            mounts.localize("--file=/var/run/peer/token"),
            "--file=/home/volumes/peer/token"
        );
        assert_eq!(mounts.localize("--folder=/var/run/peer"), "--folder=/home/volumes/peer");
        assert_eq!(mounts.localize("/var/run/peers/token"), "/var/run/peers/token");
    }
}
