//! Comments that say how a block is run: the reader of the page does not see them.

use crate::page::Scene;

/// What a comment of the form `<!-- name: text -->` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The next block is not run, for this reason.
    NotRun(String),
    /// The next block ends with this status.
    ExitStatus(i32),
    /// Commands that the reader does not see.
    Run(String),
    /// What the page's cluster holds.
    Cluster(Scene),
}

const MARKS: [&str; 4] = ["not run", "exit status", "run", "cluster"];

/// From here on a name is taken for a mark that is misspelt.
const ALIKE: f64 = 0.8;

fn near(name: &str, mark: &str) -> f64 {
    strsim::jaro_winkler(name, mark)
}

/// Reads a comment; none, where it is a comment of another kind.
pub(crate) fn read(comment: &str) -> Option<Result<Mark, String>> {
    let inner = comment.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    let (name, text) = inner.split_once(':')?;
    let may_be_in_name = |c: char| c.is_ascii_alphabetic() || c == ' ' || c == '-' || c == '_';
    if !name.chars().all(may_be_in_name) {
        return None;
    }
    let text = text.trim();
    Some(match name.trim() {
        "not run" if text.is_empty() => {
            Err("`not run` has no reason: `<!-- not run: why -->`".into())
        }
        "not run" => Ok(Mark::NotRun(text.into())),
        "exit status" => match text.parse() {
            Ok(status @ 1..=255) => Ok(Mark::ExitStatus(status)),
            _ => Err(format!("`exit status: {text}`: it is a number from 1 to 255")),
        },
        "run" if text.is_empty() => Err("`run` has no commands: `<!-- run: commands -->`".into()),
        "run" => Ok(Mark::Run(text.into())),
        "cluster" => match Scene::named(text) {
            Some(scene) => Ok(Mark::Cluster(scene)),
            None => {
                let names = Scene::ALL.map(Scene::name).join(", ");
                Err(format!("`cluster: {text}`: the scenes are {names}"))
            }
        },
        other => {
            let nearest = MARKS.iter().max_by(|a, b| near(other, a).total_cmp(&near(other, b)))?;
            if near(other, nearest) < ALIKE {
                return None;
            }
            Err(format!("`{other}:` is no mark: did you mean `{nearest}:`?"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_read_as_marks() {
        for (comment, mark) in [
            ("<!-- not run: needs a kubelet -->", Mark::NotRun("needs a kubelet".into())),
            ("<!--not run: a: b-->\n", Mark::NotRun("a: b".into())),
            ("<!-- exit status: 1 -->", Mark::ExitStatus(1)),
            ("<!-- run:\nkubectl get x\ntrue\n-->", Mark::Run("kubectl get x\ntrue".into())),
            ("<!-- cluster: linked -->", Mark::Cluster(Scene::Linked)),
        ] {
            assert_eq!(read(comment), Some(Ok(mark)), "{comment}");
        }
    }

    #[test]
    fn a_mark_that_cannot_be_read_is_a_fault_and_other_comments_are_none() {
        for (comment, fault) in [
            ("<!-- not run: -->", "has no reason"),
            ("<!-- not-run: why -->", "`not-run:` is no mark: did you mean `not run:`?"),
            ("<!-- exit status: 0 -->", "from 1 to 255"),
            ("<!-- exit status: one -->", "from 1 to 255"),
            ("<!-- run: -->", "has no commands"),
            ("<!-- cluster: big -->", "the scenes are emojivoto, installed, empty, linked"),
        ] {
            let Some(Err(found)) = read(comment) else { panic!("{comment}") };
            assert!(found.contains(fault), "{comment}: {found}");
        }
        for comment in [
            "<!-- a remark -->",
            "<!-- values: from a file -->",
            "<!-- see https://a.b/c: there -->",
            "<b>run: x</b>",
        ] {
            assert_eq!(read(comment), None, "{comment}");
        }
    }
}
