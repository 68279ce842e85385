//! A move of traffic, as data: what moves, on which occasion, why; and the sentence about it that log
//! lines, Events and records share.

use std::fmt;

/// The traffic of an object moves from some backends to others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flip {
    /// One for each set that moves; there is at least one.
    moves: Vec<SetMove>,
    /// Every set of the object makes the same move: one sentence describes them all.
    alike: bool,
}

/// The traffic of one set of an object moves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SetMove {
    /// The set; empty where the object has only one.
    pub set: String,
    pub traffic: TrafficMove,
    /// It ends on the primaries.
    pub on_primary: bool,
    /// The primaries that it leaves because they are lost, by name.
    pub lost: Vec<String>,
    /// It takes an early flip back: it returns to a backend that was left early and not lost.
    pub taken_back: bool,
    /// It leaves primaries that a person has declared down.
    pub by_person: bool,
}

/// What moves where, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrafficMove {
    pub apex: String,
    pub from: Vec<String>,
    pub to: Vec<String>,
    pub occasion: Occasion,
    /// The health that the decision rests on.
    pub reason: String,
}

/// What a move follows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Occasion {
    /// A change of health or of the declaration.
    Change,
    /// The announced deletion of these pods.
    EarlyFlip(String),
    /// An announced loss that did not come: the early flip is taken back.
    TakenBack,
}

/// Whether a move has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tense {
    Made,
    Due,
}

impl Flip {
    /// The moves of an object with this many sets as one; none where nothing moves.
    pub(crate) fn of(moves: Vec<SetMove>, sets: usize) -> Option<Self> {
        let first = moves.first()?;
        let alike = moves.len() == sets && moves.iter().all(|m| m.traffic == first.traffic);
        Some(Self { moves, alike })
    }

    /// Its moves, set by set.
    pub(crate) fn moves(&self) -> &[SetMove] {
        &self.moves
    }

    /// Whether every set ends on its primaries.
    pub(crate) fn on_primary(&self) -> bool {
        self.moves.iter().all(|m| m.on_primary)
    }

    /// The lost primaries that traffic leaves, set after set.
    pub(crate) fn lost(&self) -> impl Iterator<Item = &str> {
        self.moves.iter().flat_map(|m| &m.lost).map(String::as_str)
    }

    /// Those of them that are lost without a person who says so.
    pub(crate) fn unasked(&self) -> impl Iterator<Item = &str> {
        let unasked = self.moves.iter().filter(|m| !m.by_person);
        unasked.flat_map(|m| &m.lost).map(String::as_str)
    }

    /// Whether it is an early flip.
    pub(crate) fn is_early(&self) -> bool {
        self.moves.iter().any(|m| matches!(m.traffic.occasion, Occasion::EarlyFlip(_)))
    }

    /// Whether it takes an early flip back.
    pub(crate) fn is_taken_back(&self) -> bool {
        self.moves.iter().any(|m| m.taken_back)
    }

    /// The sentence about a move that has been made.
    pub(crate) fn made(&self) -> String {
        self.render(Tense::Made)
    }

    /// The sentence about a move that has not been made.
    pub(crate) fn due(&self) -> String {
        self.render(Tense::Due)
    }

    fn render(&self, tense: Tense) -> String {
        if self.alike {
            return self.moves[0].traffic.render(tense);
        }
        let each = self.moves.iter().map(|m| match m.set.as_str() {
            "" => m.traffic.render(tense),
            rule => format!("Rule {rule}: {}", m.traffic.render(tense)),
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

impl TrafficMove {
    fn render(&self, tense: Tense) -> String {
        let Self { apex, from, to, occasion, reason } = self;
        let moved = match tense {
            Tense::Made => "moved",
            Tense::Due => "should move",
        };
        let (from, to) = (names(from), names(to));
        format!("Traffic of {apex} {moved} from {from} to {to}{occasion}: {reason}")
    }
}

fn names(backends: &[String]) -> String {
    match backends {
        [] => "no backend".to_owned(),
        names => names.join(", "),
    }
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change => Ok(()),
            Self::EarlyFlip(pods) => write!(f, ", ahead of the deletion of {pods}"),
            Self::TakenBack => f.write_str(", which was not lost after all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_web_to_web_b(set: &str) -> SetMove {
        SetMove {
            set: set.into(),
            traffic: TrafficMove {
                apex: "web".into(),
                from: vec!["web".into()],
                to: vec!["web-b".into()],
                occasion: Occasion::Change,
                // A reason may contain any words.
                reason: "web moved from node-a to node-b".into(),
            },
            on_primary: false,
            lost: vec!["web".into()],
            taken_back: false,
            by_person: false,
        }
    }

    #[test]
    fn only_the_verb_differs_between_a_move_that_is_made_and_one_that_is_due() {
        let flip = Flip::of(vec![from_web_to_web_b("")], 1).unwrap();
        let reason = "web moved from node-a to node-b";
        assert_eq!(flip.made(), format!("Traffic of web moved from web to web-b: {reason}"));
        assert_eq!(flip.due(), format!("Traffic of web should move from web to web-b: {reason}"));
    }

    #[test]
    fn rules_that_move_together_share_one_sentence_and_others_are_named() {
        let both = || vec![from_web_to_web_b("0"), from_web_to_web_b("1")];
        assert!(Flip::of(both(), 2).unwrap().made().starts_with("Traffic of web"));
        let of_three = Flip::of(both(), 3).unwrap().made();
        assert!(of_three.starts_with("Rule 0: Traffic of web"), "{of_three}");
        assert!(of_three.contains("; Rule 1: Traffic of web"), "{of_three}");
    }
}
