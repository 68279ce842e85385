//! `status -w`: frames, what is written to a terminal, and lines of changes.

use super::change::{ChangeFormat, changes};
use super::frame::{Shown, Size, Stale, frame};
use super::screen::Screen;
use super::tables::Columns;
use crate::checks::report::Colour;
use crate::printers::style::width;
use crate::printers::test_support::{FALLBACK, PRIMARY, later, named, world};
use crate::snapshot::row::ObjectRow;
use crate::snapshot::test_support::{service, snapshot, split};
use jiff::Timestamp;
use serde_json::json;

const SIZE: Size = Size { columns: 80, lines: 24 };

fn shown(rows: &[ObjectRow], now: Timestamp) -> Shown<'_> {
    Shown { rows, notices: &[], stale: None, taken: now, columns: Columns::default(), now }
}

/// 500 splits: two are held, three on their fallback with a loss, the rest on their primaries.
fn many() -> (Vec<ObjectRow>, Timestamp) {
    let services = [service(PRIMARY, 1, 1), service(FALLBACK, 1, 1), service("down-svc", 0, 1)];
    let object = |i: usize| {
        let on_primary = split(&[(PRIMARY, 1), (FALLBACK, 0)], &[]);
        let object = match i {
            250 | 499 => split(&[("down-svc", 1)], &[]),
            100 | 300 | 498 => split(&[("down-svc", 0), (FALLBACK, 1)], &[]),
            _ => on_primary,
        };
        named(&format!("emoji-{i:03}"), object)
    };
    let manifests: Vec<_> = services.into_iter().flatten().chain((0..500).map(object)).collect();
    let snapshot = snapshot(&manifests);
    (snapshot.rows(), snapshot.now.wall)
}

/// A terminal, as far as these bytes need one.
struct Terminal {
    lines: Vec<String>,
    /// That of the cursor.
    line: usize,
    is_alternate: bool,
    has_cursor: bool,
}

impl Terminal {
    fn new() -> Self {
        Self { lines: vec![], line: 0, is_alternate: false, has_cursor: true }
    }

    fn write(&mut self, bytes: &str) {
        for sequence in bytes.split('\u{1b}').filter(|sequence| !sequence.is_empty()) {
            let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
            let (control, text) = sequence.split_at(end + 1);
            match control {
                "[?1049h" => self.is_alternate = true,
                "[?1049l" => self.is_alternate = false,
                "[?25l" => self.has_cursor = false,
                "[?25h" => self.has_cursor = true,
                "[2J" => self.lines.clear(),
                "[H" => assert_eq!(text, ""),
                // At the beginning of the line that was moved to.
                "[K" => {
                    let line = self.line;
                    self.lines[line] = text.to_owned();
                }
                moved if moved.ends_with('H') => {
                    let place = &moved[1..moved.len() - 1];
                    let line: usize = place.split_once(';').unwrap().0.parse().unwrap();
                    self.lines.resize(self.lines.len().max(line), String::new());
                    self.line = line - 1;
                    assert_eq!(text, "");
                }
                other => panic!("{other:?} in {bytes:?}"),
            }
        }
        while self.lines.last().is_some_and(String::is_empty) {
            self.lines.pop();
        }
    }
}

#[test]
fn of_500_objects_on_24_lines_the_most_urgent_are_shown_and_the_rest_is_counted() {
    let (rows, now) = many();
    let frame = frame(&shown(&rows, now), SIZE, Colour::None);
    assert_eq!(frame.len(), 24);
    assert!(frame.iter().all(|line| width(line) <= 80), "{frame:#?}");
    insta::assert_snapshot!(frame.join("\n"));
}

#[test]
fn a_frame_fits_whatever_the_size_is() {
    let (rows, now) = many();
    for lines in 0..30 {
        for columns in [0, 1, 7, 40, 200] {
            let frame = frame(&shown(&rows, now), Size { columns, lines }, Colour::None);
            assert!(frame.len() <= lines, "{lines} lines: {frame:#?}");
            assert!(frame.iter().all(|line| width(line) <= columns), "{columns}: {frame:#?}");
        }
    }
}

#[test]
fn all_that_fits_is_shown_and_nothing_is_counted() {
    let (_, rows, now) = world();
    let frame = frame(&shown(&rows, now), Size { columns: 200, lines: 13 }, Colour::None);
    assert_eq!(frame.len(), 13);
    assert!(!frame[12].starts_with("and "), "{frame:#?}");
    let less =
        super::frame::frame(&shown(&rows, now), Size { columns: 200, lines: 12 }, Colour::None);
    assert_eq!(less[11], "and 2 more: 2 primary");
}

#[test]
fn what_is_old_or_not_known_stands_above_the_table() {
    let (_, rows, now) = world();
    let stale = Stale {
        since: now - jiff::SignedDuration::from_secs(12),
        why: "the cluster: found no answer".into(),
    };
    let gaps = [
        "Lease a/b may not be read: whether the brake holds is not known".to_owned(),
        "two".to_owned(),
    ];
    let shown = Shown { notices: &gaps, stale: Some(&stale), ..shown(&rows, now) };
    let frame = frame(&shown, SIZE, Colour::None);
    assert_eq!(frame[1], "this is 12s old: the cluster: found no answer");
    assert_eq!(
        frame[2],
        "Lease a/b may not be read: whether the brake holds is not known (and 1 more)"
    );
}

#[test]
fn the_age_of_a_snapshot_is_shown_while_the_next_one_is_delayed() {
    let (_, rows, now) = world();
    let first = |seconds: i64| {
        let taken = now - jiff::SignedDuration::from_secs(seconds);
        frame(&Shown { taken, ..shown(&rows, now) }, SIZE, Colour::None).remove(0)
    };
    assert!(first(11).starts_with("2026-11-26T03:00:00Z (seen 11s ago)   1 held"), "{}", first(11));
    assert!(!first(3).contains("seen"), "{}", first(3));
}

#[test]
fn the_terminal_shows_the_last_frame_and_is_given_back_as_it_was() {
    let (mut screen, mut terminal) = (Screen::default(), Terminal::new());
    assert_eq!(screen.leave(), "", "nothing was drawn");
    let (snapshot, rows, now) = world();
    let first = frame(&shown(&rows, now), SIZE, Colour::None);
    terminal.write(&screen.draw(first.clone(), SIZE));
    assert_eq!(terminal.lines, first);
    assert!(terminal.is_alternate && !terminal.has_cursor);

    // The same frame is nothing to write; a second later the time and what runs are.
    assert_eq!(screen.draw(first.clone(), SIZE), "");
    let (rows, now) = later(snapshot, 1);
    let second = frame(&shown(&rows, now), SIZE, Colour::None);
    let differing = first.iter().zip(&second).filter(|(a, b)| a != b).count();
    let bytes = screen.draw(second.clone(), SIZE);
    assert_eq!(bytes.matches("\u{1b}[K").count(), differing);
    terminal.write(&bytes);
    assert_eq!(terminal.lines, second);

    // A smaller terminal, and fewer objects than before.
    let small = Size { columns: 40, lines: 6 };
    let third = frame(&shown(&rows, now), small, Colour::None);
    terminal.write(&screen.draw(third.clone(), small));
    assert_eq!(terminal.lines, third);
    let fourth = frame(&shown(&rows[..1], now), small, Colour::None);
    terminal.write(&screen.draw(fourth.clone(), small));
    assert_eq!(terminal.lines, fourth);

    terminal.write(screen.leave());
    assert!(!terminal.is_alternate && terminal.has_cursor);
    assert_eq!(screen.leave(), "", "once");
}

#[test]
fn a_pipe_gets_a_line_for_each_change_and_none_for_the_time() {
    let (snapshot, rows, now) = world();
    let text = |before: &[ObjectRow], after: &[ObjectRow], format| {
        changes(before, after, format, now).unwrap()
    };
    insta::assert_snapshot!(text(&[], &rows, ChangeFormat::Text));
    let (rows_later, _) = later(snapshot, 20);
    for format in [ChangeFormat::Text, ChangeFormat::Json, ChangeFormat::Yaml] {
        assert_eq!(text(&rows, &rows_later, format), "");
    }

    let before = rows_of(&[("emoji", [1, 1], [1, 0]), ("web", [1, 1], [1, 0])]);
    let after = rows_of(&[("emoji", [0, 1], [0, 1])]);
    insta::assert_snapshot!(text(&before, &after, ChangeFormat::Text));
    let lines = text(&before, &after, ChangeFormat::Json);
    let each: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&each[0]["on"], &each[1]["gone"]), (&json!("fallback"), &json!(true)));
    assert_eq!(text(&[], &rows, ChangeFormat::Json).lines().count(), rows.len());
}

/// Splits of Services of their own with so many ready endpoints, and with these weights.
fn rows_of(splits: &[(&str, [usize; 2], [u32; 2])]) -> Vec<ObjectRow> {
    let manifests = splits.iter().flat_map(|(name, ready, weights)| {
        let services = [name.to_string(), format!("{name}-west")];
        let backends = [(services[0].as_str(), weights[0]), (services[1].as_str(), weights[1])];
        let object = named(name, split(&backends, &[]));
        let services =
            services.iter().zip(ready).flat_map(|(name, ready)| service(name, *ready, 1));
        services.chain([object]).collect::<Vec<_>>()
    });
    snapshot(&manifests.collect::<Vec<_>>()).rows()
}

#[test]
fn what_others_wrote_does_not_control_the_terminal() {
    let why = "\u{1b}[2J\u{1b}[H owned";
    let state = crate::snapshot::test_support::state(&[FALLBACK], 30, json!({"why": why}));
    let object = split(&[(PRIMARY, 0), (FALLBACK, 1)], &[("state", &state)]);
    let snapshot = snapshot(&[object]);
    let (rows, now) = (snapshot.rows(), snapshot.now.wall);
    let line = changes(&[], &rows, ChangeFormat::Text, now).unwrap();
    let wide = Size { columns: 500, lines: 24 };
    let drawn = frame(&shown(&rows, now), wide, Colour::None).join("");
    assert!(line.contains("owned") && drawn.contains("owned"), "{line} {drawn}");
    assert!(!line.contains('\u{1b}') && !drawn.contains('\u{1b}'), "{line:?} {drawn:?}");
}
