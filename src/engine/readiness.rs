//! Whether anything of a set of backends is ready at all.

use crate::engine::{Health, Intent};

/// Whether any backend of a set is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// One at least is, on a port that is asked for.
    Ready,
    /// None is, as far as it can be seen; what cannot be seen may be.
    Unknown,
    /// None is.
    Nothing,
}

impl Readiness {
    /// Of a set whose backends have these healths.
    pub(crate) fn of(health: &[Health]) -> Self {
        let endpoints = || health.iter().map(Health::undeclared);
        if endpoints().any(Health::is_partly_ready) {
            Self::Ready
        } else if endpoints().any(Health::is_unknown) {
            Self::Unknown
        } else {
            Self::Nothing
        }
    }
}

/// The health of each backend, for a person.
pub(crate) fn each_health(intent: &Intent, health: &[Health]) -> String {
    let backends = intent.backends.iter().zip(health);
    let each: Vec<String> =
        backends.map(|(backend, health)| format!("{}: {health}", backend.name)).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::decision::tests::split_with;
    use crate::engine::{DownBasis, DownUntil, Unknown};
    use jiff::Timestamp;

    #[test]
    fn nothing_is_ready_only_where_that_is_known_of_every_backend() {
        let unknown = || Health::Unknown(Unknown::NotYet);
        let (down, up) = (|| Health::seen(0, 2), || Health::seen(1, 2));
        for (health, expected) in [
            (vec![down(), Health::Missing], Readiness::Nothing),
            (vec![Health::ExternalName], Readiness::Nothing),
            (vec![down(), unknown()], Readiness::Unknown),
            (vec![down(), unknown(), up()], Readiness::Ready),
        ] {
            assert_eq!(Readiness::of(&health), expected, "{health:?}");
        }
    }

    #[test]
    fn what_is_ready_beside_a_declaration_is_ready() {
        let declared = |seen| {
            Health::DeclaredDown(Box::new(DownUntil {
                until: Timestamp::UNIX_EPOCH,
                why: "".into(),
                basis: DownBasis::Declared,
                by_person: false,
                seen,
            }))
        };
        let unknown = Health::Unknown(Unknown::NotYet);
        assert_eq!(Readiness::of(&[declared(Health::seen(1, 1))]), Readiness::Ready);
        assert_eq!(Readiness::of(&[declared(unknown)]), Readiness::Unknown);
        assert_eq!(Readiness::of(&[declared(Health::seen(0, 1))]), Readiness::Nothing);
    }

    #[test]
    fn each_backend_is_named_with_its_health() {
        let intent = split_with([1, 0, 0], &[]);
        let health = [Health::seen(0, 2), Health::Missing, Health::seen(1, 1)];
        assert_eq!(
            each_health(&intent, &health),
            "a: 0 of 2 endpoints ready, b: no such Service, c: 1 of 1 endpoints ready"
        );
    }
}
