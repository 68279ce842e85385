//! The manifests of a cut, made from those of the repository.

/// The first line of every file that is made here.
pub const MADE: &str = "made by `make mutants`";

/// Unoptimised code compiles quickest; the dependencies are compiled as for `make test`.
const PROFILES: &str = "[profile.dev]\ndebug = false\nincremental = true\n";

/// The manifest of a workspace with one member, with the versions and lints of the repository.
pub fn of_workspace(root: &str, member: &str) -> String {
    format!(
        "# {MADE}\n[workspace]\nmembers = [{member:?}]\nresolver = \"3\"\n\n{}\n{PROFILES}\n{}",
        shared(root),
        section(root, "profile.dev.package.\"*\""),
    )
}

/// The manifest of the program, with those of its dependencies that are used.
pub fn of_program(root: &str, sources: &[&str]) -> String {
    let used = |heading: &str| {
        let lines = section(root, heading);
        let named = |line: &&str| {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            !name.is_empty() && is_used(name, sources)
        };
        lines.lines().skip(1).filter(named).map(|line| line.to_owned() + "\n").collect::<String>()
    };
    format!(
        "# {MADE}\n[workspace]\nresolver = \"3\"\n\n{}\n{}\n[lib]\ndoctest = false\n\n[dependencies]\n{}\n\
         [dev-dependencies]\n{}\n{PROFILES}\n{}",
        shared(root),
        section(root, "package"),
        used("dependencies"),
        used("dev-dependencies"),
        section(root, "profile.dev.package.\"*\""),
    )
}

fn shared(root: &str) -> String {
    let headings = [
        "workspace.package",
        "workspace.dependencies",
        "workspace.lints.rust",
        "workspace.lints.clippy",
    ];
    headings.map(|heading| section(root, heading)).join("\n")
}

/// A section of a manifest with its heading; empty where there is none.
fn section(manifest: &str, heading: &str) -> String {
    let mut lines = manifest.lines().skip_while(|line| *line != format!("[{heading}]"));
    let head = lines.next().into_iter();
    let body = lines.take_while(|line| !line.starts_with('['));
    head.chain(body).filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

/// Whether sources name this crate: before `::`, and not as part of a longer path.
fn is_used(name: &str, sources: &[&str]) -> bool {
    let path = name.replace('-', "_") + "::";
    let begins =
        |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
    sources.iter().any(|text| text.match_indices(&path).any(|(at, _)| begins(&text[..at])))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "[workspace]\nmembers = [\"x\"]\n\n[workspace.package]\nversion = \"1.0.0\"\n\n\
                        [workspace.dependencies]\nserde = \"1\"\nserde-saphyr = \"2\"\n\n[package]\nname = \"p\"\n\n\
                        [dependencies]\nserde.workspace = true\nserde-saphyr.workspace = true\n\
                        tokio = { workspace = true, features = [\"x\"] }\n\n[dev-dependencies]\nproptest.workspace = true\n\n\
                        [workspace.lints.rust]\nunsafe_code = \"forbid\"\n\n[profile.dev.package.\"*\"]\nopt-level = 1\n";

    #[test]
    fn only_dependencies_that_the_sources_name_are_compiled() {
        let made = of_program(ROOT, &["use serde::Deserialize;", "crate::tokio::x();"]);
        assert_eq!(section(&made, "dependencies"), "[dependencies]\nserde.workspace = true\n");
        assert_eq!(section(&made, "dev-dependencies"), "[dev-dependencies]\n");
        let made = of_program(ROOT, &["tokio::spawn(x)", " serde_saphyr::from_str(x)"]);
        let expected = "[dependencies]\nserde-saphyr.workspace = true\n\
                        tokio = { workspace = true, features = [\"x\"] }\n";
        assert_eq!(section(&made, "dependencies"), expected);
    }

    #[test]
    fn versions_lints_and_the_profile_of_dependencies_are_those_of_the_repository() {
        for made in [of_program(ROOT, &[]), of_workspace(ROOT, "webhook-certs")] {
            for heading in ["workspace.package", "workspace.dependencies", "workspace.lints.rust"] {
                assert_eq!(section(&made, heading), section(ROOT, heading), "{made}");
            }
            assert!(made.contains("opt-level = 1"), "{made}");
            assert!(!made.contains("members = [\"x\"]"), "{made}");
        }
        assert!(of_workspace(ROOT, "webhook-certs").contains("members = [\"webhook-certs\"]"));
    }
}
