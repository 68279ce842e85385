//! The manifests of an installation, as the chart renders them with its default values.

/// Made from the chart; a test compares them.
const CHART: &str = include_str!("../../manifests/install.yaml");

/// The namespace, and the image, that these have.
const NAMESPACE: &str = "linkerd-failover";
const IMAGE: &str = concat!("ghcr.io/linkerd/linkerd-failover:", env!("CARGO_PKG_VERSION"));

/// The manifests for a namespace, and an image.
pub(crate) fn render(namespace: &str, image: Option<&str>) -> String {
    let (_, documents) = CHART.split_once("\n---\n").unwrap_or(("", CHART));
    let before = std::iter::once("").chain(documents.lines());
    let lines = before.zip(documents.lines());
    let lines = lines.map(|(before, line)| in_namespace(before, line, namespace));
    let lines = lines.map(|line| match image {
        Some(image) => line.replace(&format!("image: \"{IMAGE}\""), &format!("image: \"{image}\"")),
        None => line,
    });
    let documents: String = lines.map(|line| line + "\n").collect();
    format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n---\n{documents}")
}

/// A line of the chart as it is for another namespace. Names stay: that of the release is the same.
fn in_namespace(before: &str, line: &str, namespace: &str) -> String {
    let (indent, text) = line.split_at(line.len() - line.trim_start().len());
    let is = |prefix: &str| text.strip_prefix(prefix) == Some(NAMESPACE);
    if let Some(prefix) = ["namespace: ", "- --namespace="].into_iter().find(|prefix| is(prefix)) {
        return format!("{indent}{prefix}{namespace}");
    }
    // The right to the namespace itself.
    if before.trim() == r#"resources: ["namespaces"]"# && text.starts_with("resourceNames:") {
        return format!("{indent}resourceNames: [\"{namespace}\"]");
    }
    line.replace(
        &format!("system:serviceaccount:{NAMESPACE}:"),
        &format!("system:serviceaccount:{namespace}:"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_arguments_it_is_the_chart_and_its_namespace() {
        let (_, chart) = CHART.split_once("\n---\n").unwrap();
        let head = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: linkerd-failover\n---\n";
        assert_eq!(render(NAMESPACE, None), format!("{head}{chart}"));
        assert!(chart.contains(&format!("image: \"{IMAGE}\"")), "the image is another one");
    }

    #[test]
    fn the_namespace_and_the_image_are_replaced_wherever_they_stand() {
        let text = render("mesh-failover", Some("registry.example.com/f:1"));
        assert!(text.contains("image: \"registry.example.com/f:1\""));
        for gone in ["namespace: linkerd-failover\n", "serviceaccount:linkerd-failover:", IMAGE] {
            assert!(!text.contains(gone), "{gone}");
        }
        assert!(text.contains("- --namespace=mesh-failover\n"));
        assert!(text.contains("resources: [\"namespaces\"]\n  resourceNames: [\"mesh-failover\"]"));
        assert!(text.contains("--selector=failover.linkerd.io/controlled-by=linkerd-failover"));
        assert_eq!(render(NAMESPACE, None).lines().count(), text.lines().count());
    }
}
