//! The picture of the house: the rooms of `src/`, and the way from what is watched to what is written.

use crate::canvas::{Canvas, INNER, MARGIN, Style, WIDTH};
use crate::palette::{Ink, Paper};

const GAP: f64 = 14.0;
const COLUMN: f64 = (INNER - 2.0 * GAP) / 3.0;

/// A group of rooms that are not on the way of a flip.
struct Group {
    heading: &'static str,
    rooms: &'static [&'static str],
}

const GROUPS: [Group; 3] = [
    Group {
        heading: "Beside the way of a flip",
        rooms: &[
            "leader_election",
            "deletion_guard",
            "alerts",
            "events",
            "notifications",
            "housekeeping",
            "certificates",
            "runtime",
        ],
    },
    Group {
        heading: "Commands of people",
        rooms: &[
            "cli",
            "printers",
            "checks",
            "snapshot",
            "interventions",
            "installation",
            "manifest_review",
            "manifests",
            "migrate",
        ],
    },
    Group { heading: "What all of them use", rooms: &["kinds", "client", "clock", "telemetry"] },
];

const CHIP: f64 = 26.0;

/// Draws it.
pub fn house() -> String {
    let groups: f64 = GROUPS.iter().map(height).sum();
    let mut canvas = Canvas::new(384.0 + groups, "The rooms of the program", &description());
    canvas.text(MARGIN, 30.0, Style::HEADING, "The rooms of the program");
    canvas.text(MARGIN, 51.0, Style::MUTED, "Each is a folder or a file of src/.");
    way(&mut canvas);
    let mut y = 384.0;
    for group in &GROUPS {
        draw(&mut canvas, y, group);
        y += height(group);
    }
    canvas.finish()
}

fn description() -> String {
    let mut text = "The API server is watched by informers, which enter facts into the index. The engine, which is pure, \
        decides by them; the reconciler writes the weights. An object that is applied comes as a review to the webhook; \
        admission asks the same engine."
        .to_owned();
    for Group { heading, rooms } in &GROUPS {
        text += &format!(" {heading}: {}.", rooms.join(", "));
    }
    text
}

fn height(group: &Group) -> f64 {
    34.0 + group.rooms.len().div_ceil(3) as f64 * (CHIP + 6.0) + 6.0
}

fn column(number: f64) -> f64 {
    MARGIN + number * (COLUMN + GAP)
}

/// From the API server and back to it.
fn way(canvas: &mut Canvas) {
    canvas.block(MARGIN, 66.0, INNER, 46.0, Paper::Soft, Ink::Muted);
    canvas.text(WIDTH / 2.0, 85.0, Style::BOLD.middle(), "API server");
    canvas.text(
        WIDTH / 2.0,
        103.0,
        Style::MUTED.middle(),
        "and those of linked clusters, which are read only",
    );
    let middle = |number| column(number) + COLUMN / 2.0;

    let (io, facts, pure) = (154.0, 228.0, 302.0);
    canvas.arrow(&[(middle(0.0), 112.0), (middle(0.0), io)], Ink::Primary, false);
    canvas.text(middle(0.0) + 6.0, 138.0, Style::MUTED, "watch");
    canvas.arrow(&[(middle(1.0) - 8.0, 112.0), (middle(1.0) - 8.0, io)], Ink::Primary, false);
    canvas.arrow(&[(middle(1.0) + 2.0, io), (middle(1.0) + 2.0, 112.0)], Ink::Primary, false);
    canvas.text(middle(1.0) + 8.0, 138.0, Style::MUTED, "review");
    canvas.arrow(&[(middle(2.0), io), (middle(2.0), 112.0)], Ink::Primary, false);
    canvas.text(middle(2.0) + 6.0, 138.0, Style::MUTED, "write");

    room(canvas, 0.0, io, "informers", "I/O", Paper::Primary, Ink::Primary);
    room(canvas, 1.0, io, "webhook", "I/O", Paper::Primary, Ink::Primary);
    room(canvas, 0.0, facts, "index", "facts", Paper::Fallback, Ink::Fallback);
    room(canvas, 1.0, facts, "admission", "rules", Paper::Fallback, Ink::Fallback);
    // As high as two: it stands beside both.
    canvas.block(column(2.0), io, COLUMN, facts + 46.0 - io, Paper::Primary, Ink::Primary);
    canvas.text(middle(2.0), io + 48.0, Style::CODE.middle(), "reconciler");
    canvas.text(middle(2.0), io + 68.0, Style::MUTED.middle(), "plan, gates,");
    canvas.text(middle(2.0), io + 85.0, Style::MUTED.middle(), "write");

    for number in [0.0, 1.0] {
        canvas.arrow(&[(middle(number), io + 46.0), (middle(number), facts)], Ink::Primary, false);
        canvas.arrow(
            &[(middle(number), facts + 46.0), (middle(number), pure)],
            Ink::Primary,
            false,
        );
    }
    canvas.arrow(
        &[(column(0.0) + COLUMN, facts + 23.0), (column(1.0), facts + 23.0)],
        Ink::Primary,
        false,
    );
    canvas.arrow(&[(middle(2.0), pure), (middle(2.0), facts + 46.0)], Ink::Primary, false);

    canvas.block(MARGIN, pure, INNER, 62.0, Paper::Health, Ink::Health);
    canvas.text(WIDTH / 2.0, pure + 20.0, Style::CODE.middle(), "engine");
    canvas.text(
        WIDTH / 2.0,
        pure + 38.0,
        Style::PLAIN.middle(),
        "intent, health, previous state, time → decision",
    );
    canvas.text(
        WIDTH / 2.0,
        pure + 55.0,
        Style::MUTED.middle(),
        "pure: no client, no clock, no async",
    );
}

fn room(canvas: &mut Canvas, number: f64, y: f64, name: &str, what: &str, paper: Paper, ink: Ink) {
    canvas.block(column(number), y, COLUMN, 46.0, paper, ink);
    let middle = column(number) + COLUMN / 2.0;
    canvas.text(middle, y + 20.0, Style::CODE.middle(), name);
    canvas.text(middle, y + 37.0, Style::MUTED.middle(), what);
}

fn draw(canvas: &mut Canvas, y: f64, group: &Group) {
    canvas.text(MARGIN, y + 16.0, Style::BOLD, group.heading);
    for (number, name) in group.rooms.iter().enumerate() {
        let y = y + 26.0 + (number / 3) as f64 * (CHIP + 6.0);
        let width = (INNER - 2.0 * 6.0) / 3.0;
        let x = MARGIN + (number % 3) as f64 * (width + 6.0);
        canvas.block(x, y, width, CHIP, Paper::Soft, Ink::Muted);
        canvas.text(x + width / 2.0, y + 17.5, Style::CODE.middle(), name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// On the way of a flip.
    const WAY: [&str; 6] = ["informers", "index", "engine", "reconciler", "webhook", "admission"];

    #[test]
    fn every_room_of_the_source_is_in_the_picture_once() {
        let source =
            std::fs::read_to_string(test_cluster::workspace_root().join("src/lib.rs")).unwrap();
        // Tests, and what only a feature for them compiles.
        let mut conditional = false;
        let mut rooms = BTreeSet::new();
        for line in source.lines() {
            let name = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
            if let Some(name) = name.strip_prefix("mod ").filter(|_| !conditional) {
                rooms.insert(name.trim_end_matches(';'));
            }
            conditional = line.starts_with("#[cfg(");
        }
        let drawn: Vec<&str> =
            WAY.into_iter().chain(GROUPS.iter().flat_map(|group| group.rooms).copied()).collect();
        assert_eq!(drawn.len(), rooms.len(), "a room is drawn twice, or missing");
        assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), rooms);
        let picture = house();
        for name in rooms {
            assert!(picture.lines().any(|line| line == name), "{name}");
        }
    }
}
