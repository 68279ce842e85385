//! `make mutants`: cuts out each room, tries its mutants until the time is over, and writes the table.

use anyhow::{Context, ensure};
use bench_table::{Claim, Claims, Verdict};
use clap::Parser;
use mutants::cargo::{Crate, Tests};
use mutants::control;
use mutants::cut::Cut;
use mutants::kept::Kept;
use mutants::mutant::Mutant;
use mutants::no_defect::{self, NoDefect};
use mutants::room::{ALL, Room};
use mutants::shard::Shard;
use mutants::table;
use mutants::trial::{Found, Trial, left};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Tries the mutants of the pure rooms
#[derive(Debug, Parser)]
#[command(name = "mutants")]
struct Cli {
    /// The executable of cargo-mutants
    #[arg(long)]
    cargo_mutants: PathBuf,
    /// The part of the mutants that is tried, such as 0/8
    #[arg(long, env = "MUTANTS_SHARD", default_value = "0/1")]
    shard: Shard,
    /// After so many minutes no more mutants are begun
    #[arg(long, env = "MUTANTS_MINUTES", default_value_t = 60)]
    minutes: u64,
    /// Only these rooms
    #[arg(long, env = "MUTANTS_ROOMS", value_delimiter = ',', value_parser = room)]
    rooms: Vec<Room>,
    /// Try again what is known from runs before
    #[arg(long, env = "MUTANTS_FRESH")]
    fresh: bool,
}

fn room(name: &str) -> Result<Room, String> {
    let names = || ALL.map(|room| room.name).join(", ");
    let found = ALL.into_iter().find(|room| room.name == name);
    found.ok_or_else(|| format!("found {name:?}, expected one of {}", names()))
}

fn main() -> anyhow::Result<()> {
    let mut cli = Cli::parse();
    if cli.rooms.is_empty() {
        cli.rooms = ALL.to_vec();
    }
    let deadline = Instant::now() + Duration::from_secs(cli.minutes * 60);
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| repository.join("target"), PathBuf::from);
    let target = std::path::absolute(target)?;
    let mut claims = Claims::new("mutants");
    claims.conditions.push(format!("shard {} of each room", cli.shard));
    claims.conditions.push(
        "what a test has caught in a file whose code has not changed since counts as caught; MUTANTS_FRESH=true tries it again"
            .into(),
    );
    claims.claims.push(control(&cli, &target)?);
    let list = no_defect::read(&repository)?;
    for room in &cli.rooms {
        let found = try_room(&cli, room, &repository, &target, &list, deadline)?;
        let reasons = found.no_defect.iter();
        claims.conditions.extend(reasons.map(|(name, why)| format!("no defect: {name}: {why}")));
        claims.claims.extend(table::claims(room.name, &found));
    }
    claims.write(&Claims::folder())?;
    print!("{}", claims.markdown());
    let missed = claims.claims.iter().filter(|claim| claim.verdict == Verdict::Missed).count();
    ensure!(missed == 0, "{missed} claims do not hold");
    Ok(())
}

/// That what survives is found, and only that.
fn control(cli: &Cli, target: &Path) -> anyhow::Result<Claim> {
    let krate = of(cli, target, "control", "src/lib.rs", "");
    control::cut().write(&krate.folder)?;
    let baseline = krate.baseline(Tests::All)?;
    let mutants = krate.list()?;
    let names: Vec<&str> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
    let outcomes = krate.try_all(&names, Tests::All, baseline)?;
    let known = control::is_as_known(&outcomes);
    ensure!(
        known,
        "of a function without a test some mutant was caught, or of one with a test some was not: {outcomes:?}"
    );
    Ok(Claim::new(
        "control: of a function without a test every mutant survives, of one with a test none; a loop without end is ended",
        "so",
        "so",
        known,
    ))
}

fn try_room(
    cli: &Cli,
    room: &Room,
    repository: &Path,
    target: &Path,
    list: &[NoDefect],
    deadline: Instant,
) -> anyhow::Result<Found> {
    let krate = of(cli, target, room.name, &format!("{}/**", room.mutated), room.tests);
    let cut = Cut::of(room, repository)?;
    cut.write(&krate.folder)?;
    let text_of = |file: &str| cut.files.get(Path::new(file)).cloned().unwrap_or_default();
    let mutants =
        krate.list().with_context(|| format!("cannot list the mutants of {}", room.name))?;
    let of_room: Vec<NoDefect> =
        list.iter().filter(|entry| entry.mutant.starts_with(room.mutated)).cloned().collect();
    let reasons = no_defect::reasons(&of_room, &mutants, text_of)?;
    let file = target.join("mutants").join(format!("{}.json", room.name));
    let mut kept = if cli.fresh { Kept::forgotten(file) } else { Kept::load(file)? };
    let known = |kept: &Kept, mutant: &Mutant| kept.outcome(&mutant.name, &text_of(&mutant.file));
    let left = left(&mutants, cli.shard, |mutant| known(&kept, mutant), &reasons);
    println!("{}: {} mutants, {} to be tried", room.name, mutants.len(), left.len());
    Trial { krate: &krate, text_of, kept: &mut kept, deadline }.run(&left)?;
    // As it was, should somebody look at it.
    cut.write(&krate.folder)?;
    let outcome = |mutant: &Mutant| Some((mutant.name.clone(), known(&kept, mutant)?));
    Ok(Found {
        mutants: mutants.len(),
        outcomes: mutants.iter().filter_map(outcome).collect(),
        no_defect: reasons,
    })
}

fn of(cli: &Cli, target: &Path, name: &str, mutated: &str, tests: &str) -> Crate {
    let folder = target.join("mutants").join(name);
    Crate {
        output: target.join("mutants").join(format!("{name}.out")),
        folder,
        cargo_mutants: cli.cargo_mutants.clone(),
        mutated: mutated.into(),
        tests: tests.into(),
    }
}
