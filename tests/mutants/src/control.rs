//! A crate of which it is known which mutants survive, and which never end: were all of them caught, or none, nothing
//! that this program finds would be worth anything.

use crate::cut::Cut;
use crate::manifest::MADE;
use crate::mutant::Outcome;

const LIB: &str = "pub fn tested(a: u32) -> bool {\n    a > 3\n}\n\n\
                   pub fn untested(a: u32) -> bool {\n    a > 3\n}\n\n\
                   pub fn counted_down(mut a: u8) -> u8 {\n    while a > 0 {\n        a -= 1;\n    }\n    a\n}\n\n\
                   #[test]\nfn it_begins_at_four() {\n    assert!(!tested(3) && tested(4));\n}\n\n\
                   #[test]\nfn it_ends() {\n    assert_eq!(counted_down(9), 0);\n}\n";

/// The mutant with which a test never ends: nine divided by one, again and again.
const ENDLESS: &str = "replace -= with /= in counted_down";

/// The files of the crate.
pub fn cut() -> Cut {
    let manifest = format!(
        "# {MADE}\n[workspace]\n\n[package]\nname = \"control\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [lib]\ndoctest = false\n"
    );
    let files = [("Cargo.toml", manifest.as_str()), ("src/lib.rs", LIB)];
    Cut { files: files.map(|(path, text)| (path.into(), text.to_owned())).into() }
}

/// Whether every mutant of the function with a test was caught, every one of that without survived, and the one that
/// never ends was ended.
pub fn is_as_known(outcomes: &[(String, Outcome)]) -> bool {
    let all = |end: &str, expected: Outcome| {
        let mut of_function = outcomes.iter().filter(|(name, _)| is_in(name, end)).peekable();
        of_function.peek().is_some() && of_function.all(|(_, outcome)| *outcome == expected)
    };
    let endless: Vec<&str> = outcomes
        .iter()
        .filter(|(_, outcome)| *outcome == Outcome::Endless)
        .map(|(name, _)| name.as_str())
        .collect();
    all("tested", Outcome::Caught)
        && all("untested", Outcome::Survived)
        && matches!(endless[..], [one] if one.ends_with(ENDLESS))
}

fn is_in(name: &str, function: &str) -> bool {
    name.split_whitespace().any(|word| word == function)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_known_only_where_what_is_tested_is_caught_and_what_is_not_survives() {
        let of = |tested: Outcome, untested: Outcome| {
            let named = |place: &str, change: &str, outcome| {
                (format!("src/lib.rs:{place}: {change}"), outcome)
            };
            [
                named("2:7", "replace > with == in tested", tested),
                named("5:1", "replace untested -> bool with true", untested),
                named("11:11", ENDLESS, Outcome::Endless),
            ]
        };
        assert!(is_as_known(&of(Outcome::Caught, Outcome::Survived)));
        assert!(!is_as_known(&of(Outcome::Survived, Outcome::Survived)));
        assert!(!is_as_known(&of(Outcome::Caught, Outcome::Caught)));
        assert!(!is_as_known(&of(Outcome::Endless, Outcome::Survived)));
        assert!(!is_as_known(&of(Outcome::Caught, Outcome::Survived)[..1]));
        assert!(!is_as_known(&of(Outcome::Caught, Outcome::Survived)[..2]));
        assert!(!is_as_known(&of(Outcome::Caught, Outcome::Survived)[1..]));
        assert!(!is_as_known(&[]));
    }
}
