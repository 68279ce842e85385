//! `install`: prints manifests.

use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::installation::manifest;
use std::process::ExitCode;

/// Print the manifests of an installation, as the chart has them with its default values
///
/// Nothing is written to a cluster. Use the chart for anything else than the namespace and the image.
#[derive(Clone, Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Example:
  linkerd-failover install --image registry.example.com/linkerd-failover:0.2.0 | kubectl apply -f -"
)]
pub(super) struct Args {
    /// Image of the program [default: linkerd-failover, in this version]
    #[arg(long)]
    image: Option<String>,
    /// Namespace to install into
    #[arg(long, short, default_value = "linkerd-failover")]
    namespace: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Args { image, namespace } = args;
    if !is_namespace(namespace) {
        return Err(Failure::of("--namespace", format!("{namespace:?}"))
            .expected("a name of lower-case letters, digits and -, of at most 63")
            .unreadable()
            .into());
    }
    if let Some(image) = image.as_deref().filter(|image| !is_image(image)) {
        return Err(Failure::of("--image", format!("{image:?}"))
            .expected("the name of an image, such as registry.example.com/linkerd-failover:0.2.0")
            .unreadable()
            .into());
    }
    print(&manifest::render(namespace, image.as_deref()))?;
    Ok(ExitCode::SUCCESS)
}

fn is_namespace(name: &str) -> bool {
    let is_known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(is_known)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_image(image: &str) -> bool {
    let is_known = |b: u8| b.is_ascii_alphanumeric() || b"-._/:@".contains(&b);
    !image.is_empty() && image.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_manifests_is_refused() {
        for (image, fits) in [
            ("linkerd-failover:0.2.0", true),
            ("localhost:5000/a/b@sha256:0af", true),
            ("", false),
            ("a\"\nb", false),
            ("a b", false),
        ] {
            assert_eq!(is_image(image), fits, "{image:?}");
        }
        for (name, fits) in [("mesh-1", true), ("-a", false), ("A", false), ("a.b", false)] {
            assert_eq!(is_namespace(name), fits, "{name:?}");
        }
    }
}
