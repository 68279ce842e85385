//! What a cut is made of, and that it is made of all that is needed.

use super::*;
use crate::room::ALL;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn a_cut_is_always_the_same() {
    for room in ALL {
        assert_eq!(Cut::of(&room, &repository()).unwrap(), Cut::of(&room, &repository()).unwrap());
    }
}

#[test]
fn a_cut_has_the_mutated_room_unchanged_with_its_tests() {
    for room in ALL {
        let cut = Cut::of(&room, &repository()).unwrap();
        let mut mutated = BTreeMap::new();
        collect(&repository(), Path::new(room.mutated), &mut mutated).unwrap();
        assert!(mutated.len() > 5, "{}", room.name);
        for (path, text) in mutated {
            assert_eq!(cut.files.get(&path), Some(&text), "{}: {path:?}", room.name);
        }
    }
}

#[test]
fn a_room_of_the_program_has_every_room_that_its_files_name() {
    for room in ALL {
        let Package::Program(modules) = room.package else { continue };
        for (path, text) in Cut::of(&room, &repository()).unwrap().files {
            let is_source = path.extension().is_some_and(|end| end == "rs");
            let code =
                text.lines().filter(|line| is_source && !line.trim_start().starts_with("//"));
            for line in code {
                for (at, _) in line.match_indices("crate::") {
                    let rest = &line[at + "crate::".len()..];
                    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                    let module = format!("mod {};", &rest[..end.unwrap_or(rest.len())]);
                    let inline = module.replace(';', " {");
                    let there = modules.contains(&module) || modules.contains(&inline);
                    assert!(there, "{}: {path:?} uses {module}", room.name);
                }
            }
        }
    }
}

#[test]
fn what_is_as_it_was_is_not_written_again_and_what_is_no_part_goes() {
    let folder = tempfile::tempdir().unwrap();
    let cut = |text: &str| Cut {
        files: [("a/same.rs", "1"), ("a/other.rs", text)]
            .map(|(path, text)| (path.into(), text.to_owned()))
            .into(),
    };
    cut("2").write(folder.path()).unwrap();
    let same = folder.path().join("a/same.rs");
    let before = fs::metadata(&same).unwrap().modified().unwrap();
    let stray = folder.path().join("a/stray.rs");
    fs::write(&stray, "").unwrap();
    cut("3").write(folder.path()).unwrap();
    assert_eq!(fs::metadata(&same).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_to_string(folder.path().join("a/other.rs")).unwrap(), "3");
    assert!(!stray.exists());
}
