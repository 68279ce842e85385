//! `linkerd-failover plan`.

use crate::cli::explain::look;
use crate::cli::failure::Failure;
use crate::cli::looker::report_gaps;
use crate::cli::output::print;
use crate::cli::session::SessionArgs;
use crate::engine::closest;
use crate::kinds::{ObjectKey, ObjectRef};
use crate::printers::plan::to_text;
use crate::snapshot::row::ObjectRow;
use crate::snapshot::{Assumptions, Snapshot};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Tell what would be written of an object if these Services were down, or ready
///
/// The health of the named Services is replaced in what was read from the cluster, and the controller's own
/// decision is made. Nothing is written.
#[derive(Clone, Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:
  linkerd-failover plan trafficsplit/emoji --down emoji-svc
  linkerd-failover plan trafficsplit/emoji --down emoji-svc --ready emoji-svc-west=3"
)]
pub(super) struct Args {
    /// The object
    #[arg(value_name = "KIND/NAME")]
    object: String,
    /// Services without a ready endpoint, with commas between. May be given several times
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    down: Vec<String>,
    /// Services with so many ready endpoints, with commas between. May be given several times
    #[arg(long, value_name = "SERVICE=N", value_delimiter = ',')]
    ready: Vec<String>,
    #[command(flatten)]
    session: SessionArgs,
}

/// Prints the plan.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { object, down, ready, session } = args;
    let named = named(&down, &ready)?;
    let (session, snapshot, row) = look(&object, session).await?;
    let assumed = assumptions(&named, &row)?;
    report_gaps(&snapshot);
    let Some(sets) = snapshot.plan(&row.object, &assumed) else {
        return Err(undecided(&snapshot, &row).into());
    };
    let holds = snapshot.cluster_holds(&session.installed.settings.installation.namespace);
    print(&to_text(&row.object, &assumed, &holds, &sets))?;
    Ok(ExitCode::SUCCESS)
}

/// The Services of the flags, with their ready endpoints.
fn named(down: &[String], ready: &[String]) -> Result<Vec<(String, u32)>, Failure> {
    let down = down.iter().map(|service| Ok((service.clone(), 0)));
    let ready = ready.iter().map(|text| {
        let read = text.split_once('=').and_then(|(name, n)| Some((name, n.parse().ok()?)));
        read.filter(|(name, _)| !name.is_empty()).map(|(name, n)| (name.to_owned(), n)).ok_or_else(
            || {
                Failure::of("--ready", format!("{text:?}"))
                    .expected("SERVICE=N, such as emoji-svc-west=3")
                    .unreadable()
            },
        )
    });
    down.chain(ready).collect()
}

/// The same of the backends of an object.
fn assumptions(named: &[(String, u32)], row: &ObjectRow) -> Result<Assumptions, Failure> {
    let backends = backends(row);
    let known = |key: &ObjectKey| backends.iter().any(|name| row.object.beside(name) == *key);
    let mut assumed = Assumptions::new();
    for (name, ready) in named {
        let key = row.object.beside(name);
        if !known(&key) {
            return Err(no_backend(name, &row.object, &backends));
        }
        // By either of its names: `emoji-svc`, `emojivoto/emoji-svc`.
        if assumed.insert(key, *ready).is_some() {
            return Err(Failure::of(format!("--down and --ready {name}"), "it twice")
                .expected("each Service once")
                .unreadable());
        }
    }
    Ok(assumed)
}

fn backends(row: &ObjectRow) -> BTreeSet<&str> {
    let sets = row.sets.as_deref().unwrap_or_default();
    sets.iter().flat_map(|set| &set.backends).map(|backend| backend.name.as_str()).collect()
}

fn no_backend(name: &str, object: &ObjectRef, backends: &BTreeSet<&str>) -> Failure {
    let all: Vec<&str> = backends.iter().copied().collect();
    let failure = Failure::of(object, format!("no backend {name:?}"))
        .expected(format!("one of {}", all.join(", ")))
        .unreadable();
    // As clients call it: `emoji-svc.emojivoto.svc.cluster.local`.
    let short = name.split('.').next().filter(|short| backends.contains(short));
    match short.or_else(|| closest(name, all.iter().copied())) {
        Some(near) => failure.next(format!("did you mean {near}?")),
        None => failure,
    }
}

/// Why nothing can be decided of an object.
fn undecided(snapshot: &Snapshot, row: &ObjectRow) -> Failure {
    match &row.sets {
        Err(problems) => {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            Failure::of(&row.object, format!("that it cannot be read ({first})"))
                .expected("an object that fails over")
                .next("mend it, and the controller reads it again")
        }
        Ok(_) => {
            let gaps: Vec<String> = snapshot.gaps.iter().map(ToString::to_string).collect();
            Failure::of(&row.object, format!("too little to decide by ({})", gaps.join(", ")))
                .expected("Services and EndpointSlices that you may list")
                .next("ask for the rights, or choose another user by --as or --context")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::test_support::{service, snapshot, split};

    fn row() -> ObjectRow {
        let services = [service("emoji-svc", 1, 1), service("emoji-svc-west", 1, 1)];
        let split = split(&[("emoji-svc", 1), ("emoji-svc-west", 0)], &[]);
        let manifests: Vec<_> = services.into_iter().flatten().chain([split]).collect();
        snapshot(&manifests).rows().remove(0)
    }

    fn read(down: &[&str], ready: &[&str]) -> Result<Assumptions, String> {
        let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let named = named(&owned(down), &owned(ready)).map_err(|failure| failure.to_string())?;
        assumptions(&named, &row()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn flags_name_backends_of_the_object() {
        let read_both = read(&["emoji-svc"], &["emoji-svc-west=3"]).unwrap();
        let each: Vec<_> =
            read_both.into_iter().map(|(key, n)| (key.name.to_string(), n)).collect();
        assert_eq!(each, [("emoji-svc".to_owned(), 0), ("emoji-svc-west".to_owned(), 3)]);
    }

    #[test]
    fn of_what_cannot_be_read_nothing_is_planned_and_the_line_says_what_is_wrong() {
        let torn =
            serde_json::json!({"kind": "TrafficSplit", "metadata": {"name": "torn"}, "spec": {}});
        let snapshot = snapshot(&[torn]);
        let row = snapshot.rows().remove(0);
        assert!(snapshot.plan(&row.object, &Assumptions::new()).is_none());
        assert_eq!(
            undecided(&snapshot, &row).to_string(),
            "TrafficSplit emojivoto/torn: found that it cannot be read (spec.service: found nothing, expected the Service that clients call), expected an object that fails over; mend it, and the controller reads it again"
        );
    }

    #[test]
    fn what_is_no_backend_or_no_number_is_one_line() {
        let of = |down: &[&str], ready: &[&str]| read(down, ready).unwrap_err();
        assert_eq!(
            of(&["emoji-svc-wset"], &[]),
            "TrafficSplit emojivoto/emoji: found no backend \"emoji-svc-wset\", expected one of emoji-svc, emoji-svc-west; did you mean emoji-svc-west?"
        );
        let whole = "emoji-svc.emojivoto.svc.cluster.local";
        assert!(of(&[whole], &[]).ends_with("; did you mean emoji-svc?"), "{}", of(&[whole], &[]));
        assert!(of(&[""], &[]).contains("found no backend \"\","));
        assert!(of(&["other/emoji-svc"], &[]).contains("found no backend \"other/emoji-svc\","));
        let too_many = "emoji-svc=4294967296";
        for text in ["emoji-svc", "emoji-svc=", "emoji-svc=-1", "=3", "emoji-svc=many", too_many] {
            assert_eq!(
                of(&[], &[text]),
                format!("--ready: found {text:?}, expected SERVICE=N, such as emoji-svc-west=3")
            );
        }
        for other in ["emoji-svc=1", "emojivoto/emoji-svc=1"] {
            assert!(of(&["emoji-svc"], &[other]).contains("found it twice"), "{other}");
        }
        assert!(of(&["emoji-svc", "emoji-svc"], &[]).contains("found it twice"));
    }
}
