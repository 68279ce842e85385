//! The review of an input: each object as the webhook would judge it, in the order of an apply.

use super::diagnostic::{Diagnostic, Level};
use super::entry::{Entry, EntryKind};
use super::input::Input;
use super::known_world::KnownWorld;
use super::report::{Counts, NotChecked, Report};
use super::settings::ReviewSettings;
use super::verdict::{ObjectUnderReview, Verdict};
use crate::admission::sent_object::SentObject;
use crate::admission::validate::Validation;
use crate::admission::{declared_down, namespace_protection};
use crate::engine::annotations::DOWN_UNTIL;
use crate::engine::{Identity, Problem};
use crate::index::managed_object::ManagedObject;
use crate::informers::remote::credentials;
use crate::kinds::{Kind, ObjectKey, ObjectRef, policy_route};
use crate::manifests::malformed;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};

/// Judges every object of the input.
pub(crate) fn review(input: Input, world: KnownWorld, settings: &ReviewSettings) -> Report {
    let Input { entries, unreadable, files, skipped, .. } = input;
    let counts = Counts { files: files.len(), skipped, ..Counts::default() };
    let mut review = Review::new(world, settings, counts);
    let entered: Vec<&Entry> = entries.iter().filter(|entry| review.enter(entry)).collect();
    // As after an apply: a declaration on a Service is about the objects that name it.
    let (objects, others): (Vec<&Entry>, Vec<&Entry>) =
        entered.into_iter().partition(|entry| matches!(entry.kind, EntryKind::Failover(_)));
    for entry in objects.into_iter().chain(others) {
        review.judge(entry);
    }
    review.diagnostics.extend(unreadable);
    review.report(&files)
}

struct Review<'a> {
    world: KnownWorld,
    settings: &'a ReviewSettings,
    me: Identity,
    counts: Counts,
    diagnostics: Vec<Diagnostic>,
    /// Namespaces that may ask for another protection.
    unknown_namespaces: BTreeSet<String>,
    /// Where each object stood first.
    places: BTreeMap<ObjectRef, String>,
}

impl<'a> Review<'a> {
    fn new(world: KnownWorld, settings: &'a ReviewSettings, counts: Counts) -> Self {
        Self {
            world,
            settings,
            me: Identity::new("linkerd-failover"),
            counts,
            diagnostics: vec![],
            unknown_namespaces: BTreeSet::new(),
            places: BTreeMap::new(),
        }
    }

    /// Whether it could be read.
    fn enter(&mut self, entry: &Entry) -> bool {
        let entered = self.world.enter(entry);
        let is_entered = entered.is_ok();
        if let Err(problem) = entered {
            self.counts.objects += 1;
            self.add(entry, Level::Error, problem);
        }
        is_entered
    }

    fn judge(&mut self, entry: &Entry) {
        let is_judged = match entry.kind {
            EntryKind::Failover(kind) => return self.judge_object(kind, entry),
            EntryKind::Service => self.judge_service(entry),
            EntryKind::Secret => self.judge_secret(entry),
            EntryKind::Namespace => self.judge_namespace(entry),
            EntryKind::PolicyRoute => self.judge_policy_route(entry),
            EntryKind::NoKind(kind) => {
                self.add(entry, Level::Error, no_kind(kind, entry));
                true
            }
            EntryKind::OtherGroup(kind) => self.judge_other_group(kind, entry),
            EntryKind::ServiceProfile | EntryKind::ReferenceGrant => false,
        };
        let counts = &mut self.counts;
        match (is_judged, entry.kind) {
            (true, _) => counts.objects += 1,
            (false, EntryKind::Secret | EntryKind::PolicyRoute | EntryKind::OtherGroup(_)) => {
                counts.skipped += 1;
            }
            (false, _) => counts.context += 1,
        }
    }

    fn judge_object(&mut self, kind: Kind, entry: &Entry) {
        self.counts.objects += 1;
        let sent: SentObject = match malformed::read(&entry.object) {
            Ok(sent) => sent,
            Err(problem) => return self.add(entry, Level::Error, problem),
        };
        if !self.settings.selector.matches(sent.labels()) {
            self.counts.objects -= 1;
            self.counts.unmanaged += 1;
            return;
        }
        let without_name = sent.name_any().is_empty().then(without_name);
        let again = self.again(kind, entry);
        for problem in without_name.into_iter().chain(other_version(kind, entry)).chain(again) {
            self.add(entry, problem.severity.into(), problem);
        }
        let (settings, me) = (self.settings, &self.me);
        let object = ObjectUnderReview { kind, entry, world: &self.world, settings, me };
        let verdict = object.verdict(&sent);
        let managed = verdict.admitted.as_ref().map(|admitted| {
            let key = ObjectKey::new(entry.namespace(), admitted.name_any());
            (ObjectRef::new(kind, key), ManagedObject::read(kind, admitted, &object.defaults()))
        });
        // The next objects are judged beside it.
        if let Some((key, managed)) = managed {
            self.world.enter_object(key, managed);
        }
        self.add_verdict(entry, verdict);
    }

    /// An object that stood in the input before.
    fn again(&mut self, kind: Kind, entry: &Entry) -> Option<Problem> {
        if entry.name().is_empty() {
            return None;
        }
        let object = ObjectRef::new(kind, ObjectKey::new(entry.namespace(), entry.name()));
        let first = self.places.insert(object, entry.place())?;
        Some(
            Problem::warning("metadata.name")
                .found(format!("the object of {first} again"))
                .expected("each object once: an apply writes both, and the last one stays")
                .next("take one of the two out"),
        )
    }

    fn add_verdict(&mut self, entry: &Entry, verdict: Verdict) {
        let Verdict { notes, validation, names_protection, .. } = verdict;
        self.diagnostics.extend(notes.into_iter().map(|note| entry.note(Level::Note, note)));
        self.add_validation(entry, validation);
        if !names_protection && !self.world.knows_namespace(entry.namespace()) {
            self.unknown_namespaces.insert(entry.namespace().to_owned());
        }
    }

    /// A Service that is declared down.
    fn judge_service(&mut self, entry: &Entry) -> bool {
        let annotations = entry.annotations();
        if !annotations.contains_key(DOWN_UNTIL) {
            return false;
        }
        let service = ObjectKey::new(entry.namespace(), entry.name());
        let now = self.world.now;
        let index = self.world.shared.read();
        let validation = declared_down::problems(&service, &annotations, &index, now);
        drop(index);
        self.add_validation(entry, validation);
        true
    }

    /// The credentials of a cluster all of whose Services are declared down.
    fn judge_secret(&mut self, entry: &Entry) -> bool {
        let annotations = entry.annotations();
        if entry.text("/type") != credentials::TYPE || !annotations.contains_key(DOWN_UNTIL) {
            return false;
        }
        let now = self.world.now.wall;
        self.add_validation(entry, declared_down::problems_of_cluster(&annotations, now));
        true
    }

    /// A namespace that asks for a protection.
    fn judge_namespace(&mut self, entry: &Entry) -> bool {
        let asked = self.world.shared.read().namespace_protection(entry.name()).cloned();
        let Some(asked) = asked else { return false };
        if let Some(problem) = namespace_protection::problem(entry.name(), &asked) {
            self.add(entry, Level::Warning, problem);
        }
        true
    }

    /// A route that is not failed over, whatever its label.
    fn judge_policy_route(&mut self, entry: &Entry) -> bool {
        let selector = &self.settings.selector;
        let is_labelled = selector.matches(&entry.labels());
        if is_labelled {
            let (namespace, name) = (entry.namespace(), entry.name());
            let text = policy_route::not_managed(namespace, name, selector.as_str());
            self.diagnostics.push(entry.note(Level::Warning, text));
        }
        is_labelled
    }

    /// An object of another kind by the name of one that is failed over, where it has the label.
    fn judge_other_group(&mut self, kind: Kind, entry: &Entry) -> bool {
        let is_labelled = self.settings.selector.matches(&entry.labels());
        if is_labelled {
            let problem = Problem::warning("apiVersion")
                .found(format!("{:?}", entry.text("/apiVersion")))
                .expected(versions(kind))
                .next("this kind is not failed over: mend it, or take the label off");
            self.add(entry, Level::Warning, problem);
        }
        is_labelled
    }

    fn add_validation(&mut self, entry: &Entry, validation: Validation) {
        for error in validation.errors {
            self.add(entry, Level::Error, error);
        }
        for warning in validation.warnings {
            // What is wrong without a denial is a warning.
            let level = if warning.is_error() { Level::Warning } else { warning.severity.into() };
            self.add(entry, level, warning);
        }
    }

    fn add(&mut self, entry: &Entry, level: Level, problem: Problem) {
        self.diagnostics.push(entry.problem(level, problem));
    }

    fn report(self, files: &[String]) -> Report {
        let not_checked = match (self.counts.objects, &self.world.gaps) {
            (0, _) => vec![],
            (_, None) => not_checked(&self.unknown_namespaces),
            (_, Some(gaps)) => gaps.iter().cloned().chain([LIVE_OBJECTS.to_owned()]).collect(),
        };
        let has_cluster = self.world.gaps.is_some();
        Report::new(
            self.diagnostics,
            files,
            NotChecked { has_cluster, what: not_checked },
            self.counts,
        )
    }
}

/// What is not checked in any case.
const LIVE_OBJECTS: &str = "the live objects that an apply would update: each counts as new";

/// What no manifest shows, for people.
fn not_checked(unknown_namespaces: &BTreeSet<String>) -> Vec<String> {
    let each = unknown_namespaces
        .iter()
        .map(|namespace| format!("the protection that namespace {namespace} asks for"));
    let always = [
        "which endpoints are ready",
        "failover objects, ServiceProfiles and ReferenceGrants outside the input",
        LIVE_OBJECTS,
    ];
    always.map(str::to_owned).into_iter().chain(each).collect()
}

fn without_name() -> Problem {
    Problem::error("metadata.name")
        .found("nothing")
        .expected("the name of the object")
        .next("write metadata.name, or metadata.generateName")
}

/// What kubectl finds no kind for.
fn no_kind(kind: Kind, entry: &Entry) -> Problem {
    let (found, version) = (entry.text("/kind"), entry.text("/apiVersion"));
    if found != kind.as_str() {
        return Problem::error("kind")
            .found(format!("{found:?}"))
            .expected(kind.as_str())
            .next("write it with these capitals");
    }
    let version = if version.is_empty() { "nothing".to_owned() } else { format!("{version:?}") };
    Problem::error("apiVersion")
        .found(version)
        .expected(versions(kind))
        .next("write a group and a version: no API server takes it otherwise")
}

fn versions(kind: Kind) -> String {
    let known = kind.versions().iter().map(|version| format!("{}/{version}", kind.group()));
    known.collect::<Vec<_>>().join(", ")
}

/// A cluster may serve it all the same, and convert it.
fn other_version(kind: Kind, entry: &Entry) -> Option<Problem> {
    let version = entry.text("/apiVersion");
    let known = kind.versions().iter().map(|version| format!("{}/{version}", kind.group()));
    let known: Vec<String> = known.collect();
    (!known.iter().any(|known| known == version)).then(|| {
        Problem::unknown("apiVersion")
            .found(format!("{version:?}"))
            .expected(versions(kind))
            .next(format!("kubectl explain {} shows what a cluster serves", kind.resource()))
    })
}
