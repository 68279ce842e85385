//! Which backends are preferred to which, and what each needs to count as ready.

use super::values::Annotation;
use super::{Declaration, Problem, Threshold, annotations};

/// The order of preference.
#[derive(Debug, PartialEq)]
pub struct Tiers {
    /// Indices of backends, the preferred tier first; each backend is in exactly one tier, no tier
    /// is empty.
    pub tiers: Vec<Vec<usize>>,
    /// Whether the primary is the default because the author named none.
    pub primary_is_default: bool,
}

impl Tiers {
    pub fn parse(declared: &Declaration, problems: &mut Vec<Problem>) -> Self {
        let named = Annotation::with(annotations::PRIMARY_SERVICE, declared.authored_primary());
        let primaries = named.as_backends(declared, problems);
        let primary_is_default = primaries.is_none();
        let mut primaries =
            primaries.unwrap_or_else(|| (0..declared.backends.len().min(1)).collect());
        primaries.sort_unstable();

        let order = Annotation::of(declared, annotations::FALLBACK_ORDER);
        let ordered = order.as_backends(declared, problems).unwrap_or_default();
        for i in ordered.iter().filter(|i| primaries.contains(i)) {
            problems.push(
                order.problem().expected(format!(
                    "fallbacks only; {} is a primary",
                    declared.backends[*i].name
                )),
            );
        }
        let rest: Vec<usize> = (0..declared.backends.len())
            .filter(|i| !primaries.contains(i) && !ordered.contains(i))
            .collect();
        let mut tiers = vec![primaries];
        tiers.extend(ordered.into_iter().map(|i| vec![i]));
        tiers.push(rest);
        tiers.retain(|tier| !tier.is_empty());
        Self { tiers, primary_is_default }
    }

    /// What each backend needs, in the author's order of backends. `2` or `50%` is meant for the
    /// primaries; fallbacks need 1 unless named.
    pub fn thresholds(
        &self,
        declared: &Declaration,
        problems: &mut Vec<Problem>,
    ) -> Vec<Threshold> {
        let mut needed = vec![Threshold::default(); declared.backends.len()];
        let annotation = Annotation::of(declared, annotations::MIN_READY);
        let Some(text) = declared.annotations.get(annotations::MIN_READY) else { return needed };
        if !text.contains('=') {
            let Some(threshold) = Threshold::parse(text.trim()) else {
                problems.push(annotation.problem().expected(EXPECTED));
                return needed;
            };
            for i in self.tiers.first().into_iter().flatten() {
                needed[*i] = threshold;
            }
            return needed;
        }
        let mut seen = vec![];
        for part in text.split(',') {
            let read = part.split_once('=').and_then(|(name, threshold)| {
                Some((name.trim(), Threshold::parse(threshold.trim())?))
            });
            let Some((name, threshold)) = read else {
                problems.push(annotation.problem().expected(EXPECTED));
                return needed;
            };
            match declared.backends.iter().position(|b| b.name == name) {
                Some(i) if seen.contains(&i) => problems.push(
                    annotation
                        .problem()
                        .expected(format!("each backend once; {name} is named twice")),
                ),
                Some(i) => {
                    seen.push(i);
                    needed[i] = threshold;
                }
                None if declared.backends.is_empty() => {}
                None => problems.push(annotation.stranger(name, text, declared)),
            }
        }
        needed
    }
}

const EXPECTED: &str =
    "a count such as 2, a percentage from 1% to 100%, or one per backend: name=2,other=50%";
