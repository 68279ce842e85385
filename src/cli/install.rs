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
    /// Image of the program [default: ghcr.io/linkerd/linkerd-failover, in this version]
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
            .next("leave it out for linkerd-failover")
            .unreadable()
            .into());
    }
    if let Some(image) = image.as_deref().filter(|image| !is_image(image)) {
        return Err(Failure::of("--image", format!("{image:?}"))
            .expected("the name of an image, such as registry.example.com/linkerd-failover:0.2.0")
            .next("write it as it was pushed")
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

/// `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, as container runtimes read it.
fn is_image(image: &str) -> bool {
    let (rest, digest) = image.split_once('@').map_or((image, None), |(r, d)| (r, Some(d)));
    // A colon before a slash is of a port.
    let colon = rest.rfind(':').filter(|colon| !rest[*colon..].contains('/'));
    let (path, tag) =
        colon.map_or((rest, None), |colon| (&rest[..colon], Some(&rest[colon + 1..])));
    let (host, path) = match path.split_once('/') {
        Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => {
            (Some(host), path)
        }
        _ => (None, path),
    };
    path.len() <= 255
        && path.split('/').all(is_component)
        && host.is_none_or(is_host)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
}

fn is_component(part: &str) -> bool {
    let is_known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
    let is_separator = |c: char| "-._".contains(c);
    part.bytes().all(is_known) && !part.is_empty() && part.trim_matches(is_separator) == part
}

fn is_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(n, p)| (n, Some(p)));
    let is_known = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    !name.is_empty()
        && name.bytes().all(is_known)
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_tag(tag: &str) -> bool {
    let is_known = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    (1..=128).contains(&tag.len()) && tag.bytes().all(is_known) && !tag.starts_with(['-', '.'])
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let length = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => return false,
    };
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    hex.len() == length && hex.bytes().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_manifests_is_refused() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let with_digest = |image: &str| format!("{image}@{digest}");
        for (image, fits) in [
            ("linkerd-failover", true),
            ("linkerd-failover:0.2.0", true),
            ("localhost:5000/a/b", true),
            ("registry.example.com:5000/a_b/c--d:V1.0_x", true),
            (&with_digest("localhost/a/b:1"), true),
            (&with_digest("a"), true),
            ("", false),
            (":0.2.0", false),
            ("a:", false),
            ("a::b", false),
            ("a/", false),
            ("/a", false),
            ("a//b", false),
            ("Team/A", false),
            ("-a", false),
            ("a:-b", false),
            ("host.example.com:port/a", false),
            ("a@sha256:0a", false),
            ("a@", false),
            (&with_digest(""), false),
            ("a\"\nb", false),
            ("a b", false),
            ("https://registry.example.com/a", false),
        ] {
            assert_eq!(is_image(image), fits, "{image:?}");
        }
        for (name, fits) in [("mesh-1", true), ("-a", false), ("A", false), ("a.b", false)] {
            assert_eq!(is_namespace(name), fits, "{name:?}");
        }
    }
}
