//! The files that an argument names.

use crate::engine::Problem;
use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of a file that is read: a hundred times the largest object that a cluster stores.
const LARGEST: u64 = 32 << 20;

/// Endings of files that are taken from a directory.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// A path that cannot be read, and why.
#[derive(Debug)]
pub(crate) struct Unread {
    pub path: PathBuf,
    pub problem: Box<Problem>,
}

impl Unread {
    fn new(path: PathBuf, problem: Problem) -> Self {
        Self { path, problem: Box::new(problem) }
    }
}

/// A file, or what cannot be read in its place.
pub(crate) type Found = Result<PathBuf, Unread>;

/// The files of an argument: itself, or the manifests in a directory and all below, by name.
pub(crate) fn named_by(argument: &str) -> Vec<Found> {
    let path = PathBuf::from(argument);
    if argument == "-" || !path.is_dir() {
        return vec![Ok(path)];
    }
    let mut found = vec![];
    below(&path, &mut found);
    if found.is_empty() {
        found.push(Err(Unread::new(path, without_manifests())));
    }
    found
}

/// Links to directories are not followed: they may lead in a circle. A directory that cannot be read costs
/// the others nothing.
fn below(directory: &Path, found: &mut Vec<Found>) {
    let entries = match entries(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let unread = Unread::new(directory.to_owned(), unreadable(directory, &error));
            return found.push(Err(unread));
        }
    };
    for entry in entries {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&path, found);
        } else if is_manifest(&path) {
            found.push(Ok(path));
        }
    }
}

fn entries(directory: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// A pipe in a directory is none: nobody may write to it. A link that leads nowhere is reported.
fn is_manifest(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
        && fs::metadata(path).map_or(true, |what| what.is_file())
}

/// A file that was found, and its content.
pub(crate) fn content_of(found: Found) -> Result<(PathBuf, Vec<u8>), Unread> {
    let path = found?;
    match read(&path) {
        Ok(content) => Ok((path, content)),
        Err(problem) => Err(Unread::new(path, problem)),
    }
}

/// The content of a file, or of standard input.
fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let content = match path.as_os_str() == "-" {
        true => read_at_most(io::stdin().lock()),
        false => File::open(path).and_then(read_at_most),
    };
    content.map_err(|error| unreadable(path, &error))?.ok_or_else(too_large)
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

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let expected = "a file or a directory of manifests, or - for standard input";
    match path.to_str().filter(|path| path.starts_with("http://") || path.starts_with("https://")) {
        Some(url) => problem("a URL")
            .expected(expected)
            .next(format!("pipe it in: curl -fsSL {url} | linkerd-failover validate -f -")),
        None => problem(format!("no file that can be read ({error})"))
            .expected(expected)
            .next("check the path, and who may read it"),
    }
}

fn without_manifests() -> Problem {
    problem("a directory without manifests")
        .expected("files that end in .yaml, .yml or .json")
        .next("name a file, or another directory")
}

fn too_large() -> Problem {
    problem(format!("more than {} MiB", LARGEST >> 20))
        .expected("manifests of at most that in a file")
        .next("split it into several files")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names below a folder, and with `!` what cannot be read there.
    fn names(folder: &Path) -> Vec<String> {
        let name = |path: PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
        let found = named_by(folder.to_str().unwrap()).into_iter();
        found
            .map(|found| found.map_or_else(|unread| format!("!{}", name(unread.path)), name))
            .collect()
    }

    #[test]
    fn a_directory_has_the_manifests_of_all_below_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/z.yml", "b/a.JSON", "a.yaml", "c.txt", "b/c/d.yaml"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let link = |to: &Path, name: &str| {
            std::os::unix::fs::symlink(to, folder.path().join(name)).unwrap();
        };
        link(folder.path(), "loop.yaml");
        link(folder.path(), "b/loop");
        link(&folder.path().join("c.txt"), "l.yaml");
        link(&folder.path().join("gone"), "n.yaml");
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("s.yaml")).unwrap();
        assert_eq!(
            names(folder.path()),
            ["a.yaml", "b/a.JSON", "b/c/d.yaml", "b/z.yml", "l.yaml", "n.yaml"]
        );
    }

    #[test]
    fn a_directory_that_cannot_be_read_costs_the_others_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let locked = folder.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::write(folder.path().join("z.yaml"), "").unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        // Root may read it all the same.
        let is_locked = fs::read_dir(&locked).is_err();
        let expected: &[&str] = if is_locked { &["!locked", "z.yaml"] } else { &["z.yaml"] };
        assert_eq!(names(folder.path()), expected);
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn what_is_no_file_or_too_large_is_a_problem_with_a_next_step() {
        let folder = tempfile::tempdir().unwrap();
        let found = named_by(folder.path().to_str().unwrap()).remove(0);
        insta::assert_snapshot!(found.unwrap_err().problem.message(), @"found a directory without manifests, expected files that end in .yaml, .yml or .json; name a file, or another directory");
        insta::assert_snapshot!(read(&folder.path().join("x")).unwrap_err().message(), @"found no file that can be read (No such file or directory (os error 2)), expected a file or a directory of manifests, or - for standard input; check the path, and who may read it");
        insta::assert_snapshot!(read(Path::new("https://example.com/a.yaml")).unwrap_err().message(), @"found a URL, expected a file or a directory of manifests, or - for standard input; pipe it in: curl -fsSL https://example.com/a.yaml | linkerd-failover validate -f -");
        let large = folder.path().join("large.yaml");
        File::create(&large).unwrap().set_len(100 << 20).unwrap();
        insta::assert_snapshot!(read(&large).unwrap_err().message(), @"found more than 32 MiB, expected manifests of at most that in a file; split it into several files");
    }
}
