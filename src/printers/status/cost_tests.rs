//! What `status` takes for 10,000 objects, without the LISTs: `cargo test --release -- --ignored 10_000_objects`.

use super::change::{ChangeFormat, changes};
use super::document::to_json;
use super::frame::{Shown, Size, frame};
use super::tables::{Columns, to_table};
use crate::checks::report::Colour;
use crate::printers::test_support::named;
use crate::snapshot::test_support::{service, snapshot, split};
use std::time::Instant;

#[test]
#[ignore = "measures"]
fn rows_and_texts_of_10_000_objects() {
    let of = |i: usize| {
        let names = [format!("svc-{i}"), format!("svc-{i}-west")];
        let object = split(&[(&names[0], 1), (&names[1], 0)], &[]);
        let services = names.iter().flat_map(|name| service(name, 2, 3)).collect::<Vec<_>>();
        services.into_iter().chain([named(&format!("emoji-{i}"), object)])
    };
    let manifests: Vec<_> = (0..10_000).flat_map(of).collect();
    let began = Instant::now();
    let snapshot = snapshot(&manifests);
    println!("into the index: {:?}", began.elapsed());
    let timed = |what: &str, run: &dyn Fn() -> usize| {
        let began = Instant::now();
        let size = run();
        println!("{what}: {:?}, {size}", began.elapsed());
    };
    let (rows, now) = (snapshot.rows(), snapshot.now.wall);
    let columns = Columns::default();
    let shown = Shown { rows: &rows, notices: &[], stale: None, taken: now, columns, now };
    let size = Size { columns: 200, lines: 50 };
    timed("rows", &|| snapshot.rows().len());
    timed("table", &|| to_table(&rows, Columns::default(), Colour::None, now).len());
    timed("json", &|| to_json(&rows, now).unwrap().len());
    timed("frame", &|| frame(&shown, size, Colour::Terminal).len());
    timed("changes", &|| changes(&rows, &rows, ChangeFormat::Text, now).unwrap().len());
}
