//! Looks of `status` and its kin: a snapshot, and the rows that are asked for.

use crate::cli::failure::Failure;
use crate::cli::output::{colour, print, report_line};
use crate::cli::session::Session;
use crate::kinds::one_line::one_line;
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Kind, ObjectRef};
use crate::printers::status::change::ChangeFormat;
use crate::printers::status::{document, tables};
use crate::snapshot::row::ObjectRow;
use crate::snapshot::{Area, Gap, Snapshot};
use kube::ResourceExt;
use std::time::Duration;

/// The values of `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum OutputFormat {
    #[default]
    Table,
    Wide,
    Json,
    Yaml,
}

/// How often it is looked again while waiting: after a look that took long, as long again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// What is known, and the rows that are asked for.
pub(super) type Look = (Snapshot, Vec<ObjectRow>);

/// Which rows are shown, and of what.
pub(super) struct Looker {
    pub session: Session,
    /// None: all.
    pub objects: Vec<ObjectRef>,
    pub selector: Option<LabelSelector>,
    pub output: OutputFormat,
}

impl Looker {
    /// A snapshot, and the rows that are asked for. An object that is named and not managed is a failure. While an
    /// API server starts, it does not serve every kind yet: what is not listed is not gone, and such a look fails.
    pub(super) async fn look(&self, before: &[ObjectRow]) -> Result<Look, Failure> {
        let snapshot = self.session.snapshot().await?;
        if let Some(failure) = hidden(before, &[], &snapshot) {
            return Err(failure);
        }
        let missing = self.objects.iter().find(|object| snapshot.index.object(object).is_none());
        if let Some(missing) = missing {
            return Err(self.session.why_unmanaged(&snapshot, missing).await);
        }
        self.listed(snapshot)
    }

    /// The same of one that watches on: an object that was there may go, and come back.
    pub(super) async fn look_again(&self, before: &[ObjectRow]) -> Result<Look, Failure> {
        let snapshot = self.session.snapshot().await?;
        match hidden(before, &self.objects, &snapshot) {
            Some(failure) => Err(failure),
            None => self.listed(snapshot),
        }
    }

    fn listed(&self, snapshot: Snapshot) -> Result<Look, Failure> {
        let rows = self.rows(&snapshot);
        match unlisted(&snapshot).filter(|_| rows.is_empty()) {
            Some(failure) => Err(failure),
            None => Ok((snapshot, rows)),
        }
    }

    /// The rows that are asked for, as they are at the time of the snapshot.
    pub(super) fn rows(&self, snapshot: &Snapshot) -> Vec<ObjectRow> {
        let mut objects = snapshot.object_refs();
        objects.retain(|object| self.is_asked_for(snapshot, object));
        objects.into_iter().filter_map(|object| snapshot.row(object)).collect()
    }

    fn is_asked_for(&self, snapshot: &Snapshot, object: &ObjectRef) -> bool {
        let is_named = self.objects.is_empty() || self.objects.contains(object);
        let labels = |selector: &LabelSelector| {
            snapshot.objects.get(object).is_some_and(|found| selector.matches(found.labels()))
        };
        is_named && self.selector.as_ref().is_none_or(labels)
    }

    /// That nothing is shown, in a line.
    pub(super) fn none(&self, snapshot: &Snapshot) -> String {
        let labels =
            self.selector.as_ref().map(|selector| format!(" with labels {}", selector.as_str()));
        format!("no failover objects in {}{}", snapshot.area, labels.unwrap_or_default())
    }

    /// What holds traffic in the whole cluster.
    pub(super) fn cluster_holds(&self, snapshot: &Snapshot) -> Vec<String> {
        snapshot.cluster_holds(&self.session.installed.settings.installation.namespace)
    }

    /// What holds traffic in the whole cluster and what is not known, beside the result.
    pub(super) fn report(&self, snapshot: &Snapshot) {
        for hold in self.cluster_holds(snapshot) {
            report_line(&format!("linkerd-failover: {hold}"));
        }
        report_gaps(snapshot);
    }

    /// Whether the result is one that is drawn, on a terminal that can be drawn on.
    pub(super) fn draws(&self) -> bool {
        matches!(self.output, OutputFormat::Table | OutputFormat::Wide)
    }

    pub(super) fn columns(&self) -> tables::Columns {
        let wide = self.output == OutputFormat::Wide;
        tables::Columns { namespace: self.session.area == Area::All, wide }
    }

    pub(super) fn change_format(&self) -> ChangeFormat {
        match self.output {
            OutputFormat::Table | OutputFormat::Wide => ChangeFormat::Text,
            OutputFormat::Json => ChangeFormat::Json,
            OutputFormat::Yaml => ChangeFormat::Yaml,
        }
    }

    pub(super) fn print(&self, snapshot: &Snapshot, rows: &[ObjectRow]) -> anyhow::Result<()> {
        let now = snapshot.now.wall;
        let text = match self.output {
            OutputFormat::Json => document::to_json(rows, now)?,
            OutputFormat::Yaml => document::to_yaml(rows, now)?,
            OutputFormat::Table | OutputFormat::Wide if rows.is_empty() => {
                report_line(&self.none(snapshot));
                return Ok(());
            }
            OutputFormat::Table | OutputFormat::Wide => {
                tables::to_table(rows, self.columns(), colour(), now)
            }
        };
        print(&text)
    }
}

/// A kind of which there were objects, or of which some are named, and which is not listed now.
fn hidden(before: &[ObjectRow], named: &[ObjectRef], snapshot: &Snapshot) -> Option<Failure> {
    let is_listed = |kind: Kind| {
        let is_lacking = |gap: &Gap| gap.kind == Some(kind);
        snapshot.index.served(kind).is_some() && !snapshot.gaps.iter().any(is_lacking)
    };
    let of_rows = before.iter().map(|row| &row.object);
    let kind = of_rows.chain(named).map(|object| object.kind).find(|kind| !is_listed(*kind))?;
    Some(
        Failure::of(&snapshot.area, format!("no list of {} any more", kind.plural()))
            .expected("one, as before"),
    )
}

/// Objects that may be there and could not be listed.
fn unlisted(snapshot: &Snapshot) -> Option<Failure> {
    let gaps = snapshot.gaps.iter().filter(|gap| gap.kind.is_some());
    let gaps: Vec<&str> = gaps.map(|gap| gap.what.as_str()).collect();
    let next = match &snapshot.area {
        Area::All => "name a namespace in which you may by -n, or ask for the rights",
        Area::Namespace(_) => "ask for the rights, or choose another user by --as or --context",
    };
    let failure = Failure::of(&snapshot.area, gaps.join("; "))
        .expected("failover objects that you may list")
        .next(next);
    (!gaps.is_empty()).then_some(failure)
}

/// What is not known, beside the result.
pub(super) fn report_gaps(snapshot: &Snapshot) {
    for gap in &snapshot.gaps {
        report_line(&format!("linkerd-failover: {}", one_line(&gap.to_string())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::resource::WatchedResource;
    use crate::informers::listing::{ListFailure, NotListed};
    use crate::snapshot::test_support::{service, snapshot, split};

    #[test]
    fn what_is_not_listed_any_more_is_not_gone() {
        let services = [service("emoji-svc", 1, 1), service("emoji-svc-west", 1, 1)];
        let split = split(&[("emoji-svc", 1), ("emoji-svc-west", 0)], &[]);
        let services: Vec<_> = services.into_iter().flatten().collect();
        let before = snapshot(&[services.clone(), vec![split]].concat()).rows();
        let mut next = snapshot(&services);
        let failure =
            |next: &Snapshot| hidden(&before, &[], next).map(|failure| failure.to_string());
        assert_eq!(failure(&next), None, "it is deleted");
        let lacking = |resource, namespace: &str| {
            let namespace = Some(namespace.to_owned());
            let why = ListFailure::Forbidden(String::new());
            Gap::from(&NotListed { resource, namespace, why })
        };
        next.gaps = vec![lacking(WatchedResource::Objects(Kind::TrafficSplit), "emojivoto")];
        assert!(failure(&next).is_some() && unlisted(&next).is_some());
        next.gaps = vec![lacking(WatchedResource::Services, "trafficsplits-of-web")];
        assert!(failure(&next).is_none() && unlisted(&next).is_none(), "only their health");
        next.gaps.clear();
        next.index.set_served(Kind::TrafficSplit, None);
        assert_eq!(
            failure(&next).unwrap(),
            "all namespaces: found no list of trafficsplits any more, expected one, as before"
        );
        assert!(hidden(&[], &[], &next).is_none(), "there was none");
        let named = [before[0].object.clone()];
        assert!(hidden(&[], &named, &next).is_some(), "it is waited for");
    }
}
