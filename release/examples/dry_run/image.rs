//! The image: a layer with the executable, and the configuration that the Dockerfile has.

use crate::command::run;
use crate::files::{runs, take_out};
use crate::list::List;
use crate::registry::Registry;
use anyhow::{Context, Result, ensure};
use release::archive::{Entry, layer, time_of_commit};
use release::dockerfile::{self, Image};
use release::platform::Platform;
use release::version::VERSION;
use release::{PROGRAM, checksum};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where the image is in the registry, and what it holds.
pub(crate) struct Pushed {
    /// The registry and path before the name, as the chart's `image.registry`.
    pub(crate) registry: String,
    /// The digest of the index.
    pub(crate) digest: String,
    /// The executable, taken out of what was pulled.
    pub(crate) executable: PathBuf,
}

/// Makes the image, pushes it, and reads it back by its digest.
pub(crate) fn push(
    registry: &Registry,
    here: Platform,
    executable: &Path,
    folder: &Path,
    list: &mut List,
) -> Result<Pushed> {
    let mut image = dockerfile::read(&release::text(dockerfile::FILE)?)?;
    let revision = run(Path::new("git"), ["rev-parse", "HEAD"])?;
    image.labels.insert("org.opencontainers.image.revision".into(), revision);
    let name = registry.name(&format!("linkerd/{PROGRAM}"));
    let platform = format!("{}/{}", here.os, here.arch);

    assemble(registry, &image, &name, &platform, executable, folder)?;
    let of_platform = format!("{name}:{VERSION}-{}", here.arch);
    registry.crane(["index", "append", "-m", &of_platform, "-t", &format!("{name}:{VERSION}")])?;
    let digest = registry.crane(["digest", &format!("{name}:{VERSION}")])?;

    let by_digest = format!("{name}@{digest}");
    registry.crane(["validate", "--remote", &by_digest])?;
    let config = registry.crane(["config", "--platform", &platform, &by_digest])?;
    compare(&serde_json::from_str(&config)?, &image, here)?;
    let manifest = registry.crane(["manifest", "--platform", &platform, &by_digest])?;
    let manifest: Value = serde_json::from_str(&manifest)?;
    let layers = manifest["layers"].as_array().context("no layers")?;
    let size = layers.iter().filter_map(|layer| layer["size"].as_u64()).sum();
    list.made(
        format!("image linkerd/{PROGRAM}:{VERSION}, {platform} alone, without its base"),
        size,
        &digest,
    );
    list.seen(
        "image",
        format!(
            "pulled by its digest: user {}, entrypoint {:?} and {} labels are the Dockerfile's",
            image.user,
            image.entrypoint,
            image.labels.len()
        ),
    );

    let pulled = folder.join("image.tar");
    registry.crane([
        "export",
        "--platform",
        &platform,
        &by_digest,
        &pulled.display().to_string(),
    ])?;
    let taken = folder.join(PROGRAM);
    take_out(&pulled, in_layer(&image)?, &taken)?;
    ensure!(
        checksum::of_file(&taken)? == checksum::of_file(executable)?,
        "the executable in the image is another one"
    );
    runs(&taken)?;
    list.seen("image", "the executable taken out of it is the one of the archive, and runs");
    let path = registry.name("linkerd");
    Ok(Pushed { registry: path, digest, executable: taken })
}

/// Where the executable is in a layer.
fn in_layer(image: &Image) -> Result<&str> {
    let path = image.entrypoint.first().context("no entrypoint")?;
    path.strip_prefix('/').context("the entrypoint is no absolute path")
}

fn assemble(
    registry: &Registry,
    image: &Image,
    name: &str,
    platform: &str,
    executable: &Path,
    folder: &Path,
) -> Result<()> {
    let entry = Entry {
        path: in_layer(image)?.into(),
        content: std::fs::read(executable)?,
        executable: true,
    };
    let tar = folder.join("layer.tar");
    layer(&[entry], time_of_commit(), &tar)?;
    let arch = platform.split('/').nth(1).unwrap_or_default();
    let tag = format!("{name}:{VERSION}-{arch}");
    registry.crane(["append", "--oci-empty-base", "-f", &tar.display().to_string(), "-t", &tag])?;
    let mut mutate = vec!["mutate".to_owned(), tag.clone(), "--tag".into(), tag];
    mutate.extend(["--set-platform".into(), platform.into(), "--user".into(), image.user.clone()]);
    mutate.extend(["--entrypoint".into(), image.entrypoint.join(",")]);
    for (name, value) in &image.labels {
        mutate.extend(["--label".into(), format!("{name}={value}")]);
    }
    registry.crane(mutate)?;
    Ok(())
}

fn compare(config: &Value, image: &Image, here: Platform) -> Result<()> {
    for (what, found, expected) in [
        ("os", &config["os"], json!(here.os)),
        ("architecture", &config["architecture"], json!(here.arch)),
        ("user", &config["config"]["User"], json!(image.user)),
        ("entrypoint", &config["config"]["Entrypoint"], json!(image.entrypoint)),
        ("labels", &config["config"]["Labels"], json!(image.labels)),
    ] {
        ensure!(*found == expected, "the image's {what}: found {found}, expected {expected}");
    }
    Ok(())
}
