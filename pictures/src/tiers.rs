//! The picture of tiers: who gets traffic when. What it shows is what the engine decides.

use crate::canvas::{Canvas, INNER, MARGIN, Style, WIDTH};
use crate::palette::{Ink, Paper};
use jiff::Timestamp;
use linkerd_failover::engine::{
    Defaults, Health, Intent, Now, PendingDelays, Previous, SetState, decide,
};
use linkerd_failover::kinds::Kind;
use serde_json::json;

const BACKENDS: [&str; 4] = ["emoji-svc", "emoji-svc-west", "emoji-svc-north", "emoji-svc-south"];
const FALLBACK_ORDER: &str = "emoji-svc-west";
const MIN_READY: &str = "2";

/// What happens, and the ready endpoints of each backend then, one after the other.
const STORY: [(&str, [u32; 4]); 6] = [
    ("The primary has the 2 endpoints that it needs.", [2, 1, 1, 1]),
    ("Tier 1 has 1 of 2: tier 2 takes over.", [1, 1, 1, 1]),
    ("Tiers 1 and 2 have none: tier 3 shares.", [0, 0, 1, 1]),
    ("No tier has enough: the first with any ready.", [1, 0, 0, 0]),
    ("Nothing is ready anywhere: weights stay.", [0, 0, 0, 0]),
    ("The primary has what it needs again.", [2, 1, 1, 1]),
];

const TOP: f64 = 154.0;
const CELL: f64 = 44.0;
const STEP: f64 = 80.0;
const GAP: f64 = 6.0;

/// Draws it.
pub fn tiers() -> String {
    let weights = weights();
    let height = TOP + STEP * STORY.len() as f64 + 92.0;
    let mut canvas = Canvas::new(
        height,
        "Tiers of fallbacks, and which of them gets traffic",
        &description(&weights),
    );
    canvas.text(MARGIN, 30.0, Style::HEADING, "Which backend gets traffic");
    let legend = ["Each cell: ready endpoints, and the weight.", "Filled: it gets traffic."];
    canvas.lines(MARGIN, 52.0, Style::MUTED, &legend);
    header(&mut canvas);
    for (number, ((what, ready), weights)) in STORY.iter().zip(&weights).enumerate() {
        let y = TOP + 12.0 + STEP * number as f64;
        canvas.text(MARGIN, y + 14.0, Style::BOLD, &format!("{}. {what}", number + 1));
        for (column, (ready, weight)) in ready.iter().zip(weights).enumerate() {
            cell(&mut canvas, column, y + 22.0, *ready, *weight);
        }
    }
    let y = TOP + STEP * STORY.len() as f64 + 30.0;
    canvas.line((MARGIN, y - 14.0), (WIDTH - MARGIN, y - 14.0), Ink::Muted, false);
    canvas.text(MARGIN, y + 6.0, Style::MUTED, "The annotations of the route:");
    canvas.text(MARGIN, y + 26.0, Style::CODE, &format!("fallback-order: {FALLBACK_ORDER}"));
    canvas.text(MARGIN, y + 46.0, Style::CODE, &format!("min-ready: \"{MIN_READY}\""));
    canvas.finish()
}

fn description(weights: &[Vec<u32>]) -> String {
    let mut text = format!(
        "The primary {} needs {MIN_READY} ready endpoints. {} is tier 2; {} and {}, which \
         fallback-order does not name, are tier 3 together. ",
        BACKENDS[0], BACKENDS[1], BACKENDS[2], BACKENDS[3],
    );
    for (number, ((what, ready), weights)) in STORY.iter().zip(weights).enumerate() {
        let of = |values: &[u32]| values.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        text += &format!("{}. {what} Ready: {}. Weights: {}. ", number + 1, of(ready), of(weights));
    }
    text.trim_end().to_owned()
}

fn x(column: usize) -> f64 {
    MARGIN + column as f64 * (width() + GAP)
}

fn width() -> f64 {
    (INNER - 3.0 * GAP) / 4.0
}

fn middle(column: usize) -> f64 {
    x(column) + width() / 2.0
}

fn header(canvas: &mut Canvas) {
    let tiers = [
        (middle(0), "tier 1", "primary", Ink::Primary),
        (middle(1), "tier 2", "fallback", Ink::Fallback),
        (f64::midpoint(middle(2), middle(3)), "tier 3", "fallbacks, together", Ink::Fallback),
    ];
    for (middle, tier, what, ink) in tiers {
        canvas.text(middle, TOP - 58.0, Style::BOLD.middle(), tier);
        canvas.text(middle, TOP - 41.0, Style::PLAIN.ink(ink).middle(), what);
    }
    for (column, name) in BACKENDS.iter().enumerate() {
        // What all have in common is in the first.
        let name = if column == 0 { (*name).to_owned() } else { name.replace(BACKENDS[0], "…") };
        canvas.text(middle(column), TOP - 22.0, Style::CODE.middle(), &name);
        let needs = if column == 0 { MIN_READY } else { "1" };
        canvas.text(middle(column), TOP - 4.0, Style::MUTED.middle(), &format!("needs {needs}"));
    }
    canvas.line((MARGIN, TOP + 5.0), (WIDTH - MARGIN, TOP + 5.0), Ink::Muted, false);
}

fn cell(canvas: &mut Canvas, column: usize, y: f64, ready: u32, weight: u32) {
    let (paper, ink) = match (weight, column) {
        (0, _) => (Paper::Soft, Ink::Muted),
        (_, 0) => (Paper::Primary, Ink::Primary),
        _ => (Paper::Fallback, Ink::Fallback),
    };
    if weight == 0 {
        canvas.fill(x(column), y, width(), CELL, paper);
    } else {
        canvas.block(x(column), y, width(), CELL, paper, ink);
    }
    canvas.text(middle(column), y + 18.0, Style::PLAIN.middle(), &format!("{ready} ready"));
    let style = if weight == 0 { Style::PLAIN } else { Style::BOLD };
    canvas.text(middle(column), y + 36.0, style.ink(ink).middle(), &format!("weight {weight}"));
}

/// What the engine decides, each time from what it decided before.
fn weights() -> Vec<Vec<u32>> {
    let intent = intent();
    let delays = PendingDelays::new();
    let mut state: Option<SetState> = None;
    let mut all = Vec::new();
    for (second, (_, ready)) in (1..).zip(STORY) {
        let health = ready.map(|ready| Health::seen(ready, ready.max(1)));
        let now = Now::at(Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second));
        let previous =
            state.as_ref().map_or(Previous::Birth, |state| Previous::Decided(state, &delays));
        let decision = decide(&intent, &health, previous, now);
        state = Some(decision.state(&intent, &health, now));
        all.push(decision.weights);
    }
    all
}

fn intent() -> Intent {
    let backends: Vec<_> = BACKENDS
        .iter()
        .enumerate()
        .map(|(i, name)| json!({"name": name, "port": 8080, "weight": u32::from(i == 0)}))
        .collect();
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "emoji-svc", "namespace": "emojivoto",
            "annotations": {
                "failover.linkerd.io/fallback-order": FALLBACK_ORDER,
                "failover.linkerd.io/min-ready": MIN_READY,
            },
        },
        "spec": {
            "parentRefs": [{"group": "core", "kind": "Service", "name": "emoji-svc", "port": 8080}],
            "rules": [{"backendRefs": backends}],
        },
    });
    let route = serde_json::from_value(route).expect("an object");
    let intents = Intent::parse(&Kind::HttpRoute.read(&route), &Defaults::default());
    intents.ok().and_then(|intents| intents.into_iter().next()).expect("a readable route")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headings say what the engine does.
    #[test]
    fn the_story_is_what_the_engine_decides() {
        let expected =
            [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]];
        assert_eq!(weights(), expected);
    }
}
