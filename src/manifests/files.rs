//! The files that an argument names.

use crate::engine::Problem;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of a file that is read: a hundred times the largest object that a cluster stores.
const LARGEST: u64 = 32 << 20;

/// Endings of files that are taken from a directory.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// The files of an argument: itself, or the manifests in a directory and all below, by name.
pub(crate) fn named_by(argument: &str) -> Result<Vec<PathBuf>, Problem> {
    let path = Path::new(argument);
    if argument == "-" || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = vec![];
    below(path, &mut found).map_err(|error| unreadable(&error))?;
    match found.is_empty() {
        true => Err(problem("a directory without manifests")
            .expected("files that end in .yaml, .yml or .json")
            .next("name a file, or another directory")),
        false => Ok(found),
    }
}

/// Links to directories are not followed: they may lead in a circle.
fn below(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            below(&path, found)?;
        } else if is_manifest(&path) && !path.is_dir() {
            found.push(path);
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// The content of a file, or of standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let content = match path.as_os_str() == "-" {
        true => read_at_most(io::stdin().lock()),
        false => File::open(path).and_then(read_at_most),
    };
    content.map_err(|error| unreadable(&error))?.ok_or_else(too_large)
}

/// None where there is more.
fn read_at_most(from: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut content = vec![];
    from.take(LARGEST + 1).read_to_end(&mut content)?;
    Ok((content.len() as u64 <= LARGEST).then_some(content))
}

fn problem(found: impl Into<String>) -> Problem {
    Problem::error("file").found(found.into())
}

fn unreadable(error: &io::Error) -> Problem {
    problem(format!("no file that can be read ({error})"))
        .expected("a file or a directory of manifests, or - for standard input")
        .next("check the path, and who may read it")
}

fn too_large() -> Problem {
    problem(format!("more than {} MiB", LARGEST >> 20))
        .expected("manifests of at most that in a file")
        .next("split it into several files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_the_manifests_of_all_below_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/z.yml", "b/a.JSON", "a.yaml", "c.txt", "b/c/d.yaml"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop.yaml")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("c.txt"), folder.path().join("l.yaml"))
            .unwrap();
        let found = named_by(folder.path().to_str().unwrap()).unwrap();
        let names = found.iter().map(|path| path.strip_prefix(folder.path()).unwrap());
        let names: Vec<_> = names.map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, ["a.yaml", "b/a.JSON", "b/c/d.yaml", "b/z.yml", "l.yaml"]);
    }

    #[test]
    fn what_is_no_file_or_too_large_is_a_problem_with_a_next_step() {
        let folder = tempfile::tempdir().unwrap();
        let without = named_by(folder.path().to_str().unwrap()).unwrap_err().message();
        insta::assert_snapshot!(without, @"found a directory without manifests, expected files that end in .yaml, .yml or .json; name a file, or another directory");
        insta::assert_snapshot!(read(&folder.path().join("x")).unwrap_err().message(), @"found no file that can be read (No such file or directory (os error 2)), expected a file or a directory of manifests, or - for standard input; check the path, and who may read it");
        let large = folder.path().join("large.yaml");
        File::create(&large).unwrap().set_len(100 << 20).unwrap();
        insta::assert_snapshot!(read(&large).unwrap_err().message(), @"found more than 32 MiB, expected manifests of at most that in a file; split it into several files");
    }
}
