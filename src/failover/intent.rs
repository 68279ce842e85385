//! What the author of an object asked for.

use super::{
    AuthoredWeights, MAX_WEIGHT, ParsedWeight, Problem, State, Weights, annotations, closest,
};
use std::collections::{BTreeMap, HashSet};

/// A failover object as its kind's adapter reads it: no rule applied, nothing refused yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declaration {
    /// The Service that clients call.
    pub apex: String,
    /// In the author's order.
    pub backends: Vec<DeclaredBackend>,
    /// All annotations of the object.
    pub annotations: BTreeMap<String, String>,
    /// What the adapter could not read, each with its field path.
    pub unreadable: Vec<Problem>,
}

/// A backend as it stands in the object.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredBackend {
    pub name: String,
    pub weight: ParsedWeight,
    /// Field path of the backend: `spec.backends[0]`.
    pub path: String,
}

/// What the author asked for, checked: the only thing the engine knows of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The Service that clients call.
    pub apex: String,
    /// In the author's order; names are unique, and there is at least one.
    pub backends: Vec<Backend>,
    /// Indices of backends, the preferred tier first; each backend is in exactly one tier, no
    /// tier is empty. The first tier holds the primaries.
    pub tiers: Vec<Vec<usize>>,
    /// Whether the primary is the default because the author named none.
    pub primary_is_default: bool,
}

/// A backend and its two weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    pub name: String,
    /// What the author wants this backend to get when it is active.
    pub authored: u32,
    /// What stands in the object now.
    pub live: u32,
}

impl Intent {
    /// Reads what the author asked for, or says everything that is in the way.
    pub fn parse(declared: &Declaration) -> Result<Self, Vec<Problem>> {
        let mut problems = declared.unreadable.clone();
        if declared.apex.is_empty() && problems.iter().all(|p| p.field != "spec.service") {
            problems.push(
                Problem::error("spec.service")
                    .found("nothing")
                    .expected("the Service that clients call"),
            );
        }
        if declared.backends.is_empty() && problems.iter().all(|p| p.field != "spec.backends") {
            problems.push(
                Problem::error("spec.backends")
                    .found("no backends")
                    .expected("the primary and at least one fallback"),
            );
        }
        duplicates(declared, &mut problems);
        weights(declared, &mut problems);
        let recorded = recorded_weights(declared, &mut problems);
        let (primary, primary_is_default) = primary(declared, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }

        let recorded = recorded.unwrap_or_default();
        let backends: Vec<Backend> = declared
            .backends
            .iter()
            .map(|backend| {
                let live = backend.weight.whole().unwrap_or_default();
                let authored = recorded.get(&backend.name).copied().unwrap_or(live);
                Backend { name: backend.name.clone(), authored, live }
            })
            .collect();
        let (first, rest): (Vec<_>, Vec<_>) =
            (0..backends.len()).partition(|i| Some(*i) == primary);
        let tiers = [first, rest].into_iter().filter(|tier| !tier.is_empty()).collect();
        Ok(Self { apex: declared.apex.clone(), backends, tiers, primary_is_default })
    }

    /// The names of the preferred backends.
    pub fn primaries(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().take(1).flatten().map(|i| self.backends[*i].name.as_str())
    }

    /// Whether a backend belongs to the preferred tier.
    pub fn is_primary(&self, backend: usize) -> bool {
        self.tiers.first().is_some_and(|tier| tier.contains(&backend))
    }

    /// The author's weights, by backend.
    pub fn authored(&self) -> Weights {
        self.backends.iter().map(|b| (b.name.clone(), b.authored)).collect()
    }

    /// Indices of the backends that carry traffic now.
    pub fn carrying(&self) -> Vec<usize> {
        (0..self.backends.len()).filter(|i| self.backends[*i].live > 0).collect()
    }

    /// Indices of the named backends that this intent has.
    pub fn indices<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Vec<usize> {
        let names: HashSet<_> = names.into_iter().collect();
        (0..self.backends.len()).filter(|i| names.contains(&self.backends[*i].name)).collect()
    }
}

impl Declaration {
    /// The `state` annotation, where it can be read.
    pub fn state(&self) -> Option<State> {
        self.annotations.get(annotations::STATE).and_then(|text| State::parse(text))
    }

    /// The author's weights as recorded, where they can be read.
    pub fn recorded(&self) -> Option<Weights> {
        let text = self.annotations.get(annotations::AUTHORED_WEIGHTS)?;
        AuthoredWeights::parse(text).ok()?.sets.remove("")
    }

    /// The weights that stand in the object, where they can be read.
    pub fn live(&self) -> Weights {
        self.backends.iter().filter_map(|b| Some((b.name.clone(), b.weight.whole()?))).collect()
    }

    /// The primary as the author set it: none where it is absent, or only our default.
    pub fn authored_primary(&self) -> Option<&str> {
        let set = self.annotations.get(annotations::PRIMARY_SERVICE)?;
        let defaulted = self.state().and_then(|state| state.defaulted_primary);
        (defaulted.as_ref() != Some(set)).then_some(set.as_str())
    }
}

fn duplicates(declared: &Declaration, problems: &mut Vec<Problem>) {
    let mut seen = BTreeMap::new();
    for backend in &declared.backends {
        if let Some(first) = seen.insert(&backend.name, &backend.path) {
            problems.push(
                Problem::error(format!("{}.service", backend.path))
                    .found(format!("{:?}, which {first} has already", backend.name))
                    .expected("each backend once")
                    .next("remove one of the two, or name another Service"),
            );
            seen.insert(&backend.name, first);
        }
    }
}

fn weights(declared: &Declaration, problems: &mut Vec<Problem>) {
    for backend in &declared.backends {
        if let ParsedWeight::Unreadable(found) = &backend.weight {
            problems.push(
                Problem::error(format!("{}.weight", backend.path))
                    .found(found)
                    .expected(format!("a whole number from 0 to {MAX_WEIGHT}")),
            );
        }
    }
}

fn recorded_weights(declared: &Declaration, problems: &mut Vec<Problem>) -> Option<Weights> {
    let text = declared.annotations.get(annotations::AUTHORED_WEIGHTS)?;
    match AuthoredWeights::parse(text) {
        Ok(mut read) => read.sets.remove(""),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// The index of the primary among the backends, and whether it is the default.
fn primary(declared: &Declaration, problems: &mut Vec<Problem>) -> (Option<usize>, bool) {
    let Some(wanted) = declared.authored_primary() else {
        return ((!declared.backends.is_empty()).then_some(0), true);
    };
    let found = declared.backends.iter().position(|b| b.name == wanted.trim());
    if found.is_none() && !declared.backends.is_empty() {
        let names = declared.backends.iter().map(|b| b.name.as_str());
        let listed: Vec<_> = names.clone().take(10).collect();
        let problem = Problem::error(annotations::field(annotations::PRIMARY_SERVICE))
            .found(format!("{wanted:?}"))
            .expected(format!("one of the backends ({})", listed.join(", ")));
        problems.push(match closest(wanted.trim(), names) {
            Some(near) => problem.next(format!("did you mean {near}?")),
            None => problem,
        });
    }
    (found, false)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::failover::SetState;
    use serde_json::json;

    /// A declaration with these backends and annotations.
    pub(crate) fn declaration(
        backends: &[(&str, serde_json::Value)],
        annotations: &[(&str, &str)],
    ) -> Declaration {
        Declaration {
            apex: "emoji-svc".into(),
            backends: backends
                .iter()
                .enumerate()
                .map(|(i, (name, weight))| DeclaredBackend {
                    name: (*name).into(),
                    weight: ParsedWeight::parse(Some(weight)),
                    path: format!("spec.backends[{i}]"),
                })
                .collect(),
            annotations: annotations.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            unreadable: vec![],
        }
    }

    fn fields(declared: &Declaration) -> Vec<String> {
        Intent::parse(declared).unwrap_err().into_iter().map(|p| p.field).collect()
    }

    #[test]
    fn without_a_word_from_the_author_the_first_backend_is_the_primary() {
        let intent =
            Intent::parse(&declaration(&[("a", json!(1)), ("b", json!(0)), ("c", json!(0))], &[]));
        let intent = intent.unwrap();
        assert_eq!(intent.tiers, vec![vec![0], vec![1, 2]]);
        assert!(intent.primary_is_default);
    }

    #[test]
    fn the_author_names_the_primary() {
        let declared = declaration(
            &[("a", json!(1)), ("b", json!(0))],
            &[(annotations::PRIMARY_SERVICE, "b")],
        );
        let intent = Intent::parse(&declared).unwrap();
        assert_eq!(intent.tiers, vec![vec![1], vec![0]]);
        assert!(!intent.primary_is_default);
    }

    #[test]
    fn a_defaulted_primary_follows_the_first_backend() {
        let mut state = State::new(
            "",
            SetState {
                active: vec![],
                since: jiff::Timestamp::UNIX_EPOCH,
                why: String::new(),
                weights: Weights::new(),
            },
        );
        state.defaulted_primary = Some("old".into());
        let annotation = state.to_annotation();
        let declared = declaration(
            &[("new", json!(1)), ("b", json!(0))],
            &[(annotations::PRIMARY_SERVICE, "old"), (annotations::STATE, &annotation)],
        );
        let intent = Intent::parse(&declared).unwrap();
        assert_eq!(intent.primaries().collect::<Vec<_>>(), ["new"]);
    }

    #[test]
    fn recorded_weights_are_the_authors_and_live_ones_are_live() {
        let declared = declaration(
            &[("a", json!(0)), ("b", json!(1))],
            &[(annotations::AUTHORED_WEIGHTS, r#"{"v":1,"sets":{"":{"a":5,"b":0}}}"#)],
        );
        let intent = Intent::parse(&declared).unwrap();
        assert_eq!((intent.backends[0].authored, intent.backends[0].live), (5, 0));
        assert_eq!((intent.backends[1].authored, intent.backends[1].live), (0, 1));
    }

    #[test]
    fn every_problem_of_an_object_is_told_at_once() {
        let declared = declaration(
            &[("a", json!(-1)), ("a", json!(0.5)), ("b", json!("500m"))],
            &[(annotations::PRIMARY_SERVICE, "zzz"), (annotations::AUTHORED_WEIGHTS, "{")],
        );
        assert_eq!(
            fields(&declared),
            [
                "spec.backends[1].service",
                "spec.backends[0].weight",
                "spec.backends[1].weight",
                "spec.backends[2].weight",
                "metadata.annotations[failover.linkerd.io/authored-weights]",
                "metadata.annotations[failover.linkerd.io/primary-service]",
            ]
        );
    }

    #[test]
    fn an_object_without_apex_or_backends_is_refused() {
        assert_eq!(fields(&Declaration::default()), ["spec.service", "spec.backends"]);
    }

    #[test]
    fn a_near_miss_of_the_primary_is_guessed() {
        let declared = declaration(
            &[("emoji-svc", json!(1)), ("emoji-svc-west", json!(0))],
            &[(annotations::PRIMARY_SERVICE, "emoji-scv")],
        );
        let problems = Intent::parse(&declared).unwrap_err();
        assert!(problems[0].to_string().contains("did you mean emoji-svc?"), "{}", problems[0]);
    }
}
