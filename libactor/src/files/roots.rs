//! What is attached where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::limits::{ATTACHMENTS, PATH_BYTES};
use super::{AttachError, FilesError};

/// The real paths, without symbolic links, by the virtual path that each is attached to.
#[derive(Debug, Default)]
pub(super) struct Roots(BTreeMap<String, Arc<Path>>);

/// Where a virtual path leads: to what is at `rest` below `root`.
#[derive(Debug)]
pub(super) struct Found {
    /// The virtual path, tidied.
    pub(super) path: String,
    pub(super) root: Arc<Path>,
    /// Empty: the root itself.
    pub(super) rest: String,
}

impl Roots {
    pub(super) fn attach(&mut self, path: &str, real: PathBuf) -> Result<(), AttachError> {
        let bad = || AttachError::BadPath(path.chars().take(200).collect());
        let tidied = tidy(path).map_err(|_| bad())?;
        if !self.0.contains_key(&tidied) && self.0.len() >= ATTACHMENTS {
            return Err(AttachError::Full(tidied));
        }
        self.0.insert(tidied, real.into());
        Ok(())
    }

    pub(super) fn detach(&mut self, path: &str) -> bool {
        tidy(path).is_ok_and(|tidied| self.0.remove(&tidied).is_some())
    }

    /// Walks up the path to the first that is attached: the longest.
    pub(super) fn find(&self, path: &str) -> Result<Found, FilesError> {
        let path = tidy(path)?;
        let mut end = path.len();
        loop {
            if let Some(root) = self.0.get(&path[..end]) {
                let rest = path[end..].trim_start_matches('/').to_owned();
                return Ok(Found { root: root.clone(), rest, path });
            }
            end = path[..end].rfind('/').filter(|end| *end > 0).ok_or(FilesError::NotFound)?;
        }
    }

    pub(super) fn all(&self) -> BTreeMap<String, String> {
        let text = |path: &Arc<Path>| path.to_string_lossy().into_owned();
        self.0.iter().map(|(name, path)| (name.clone(), text(path))).collect()
    }
}

/// The path without doubled and trailing slashes and without `.`; `..` is refused, wherever it may lead.
fn tidy(path: &str) -> Result<String, FilesError> {
    if path.len() > PATH_BYTES {
        return Err(FilesError::Invalid(format!("The path is longer than {PATH_BYTES} bytes.")));
    }
    let mut tidied = String::with_capacity(path.len());
    for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
        if name == ".." {
            return Err(FilesError::outside(path));
        }
        if !tidied.is_empty() || path.starts_with('/') {
            tidied.push('/');
        }
        tidied.push_str(name);
    }
    if tidied.is_empty() || tidied.contains('\0') {
        return Err(FilesError::NotFound);
    }
    Ok(tidied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(all: &[(&str, &str)]) -> Roots {
        let mut roots = Roots::default();
        for (path, real) in all {
            roots.attach(path, PathBuf::from(real)).unwrap();
        }
        roots
    }

    #[test]
    fn the_longest_attached_path_is_found() {
        let roots = roots(&[("/a", "/1"), ("/a/b/", "/2"), ("/log", "/3"), ("bare", "/4")]);
        for (path, root, rest) in [
            ("/a", "/1", ""),
            ("/a/", "/1", ""),
            ("//a//./x", "/1", "x"),
            ("/a/bb", "/1", "bb"),
            ("/a/b", "/2", ""),
            ("/a/b/c/d", "/2", "c/d"),
            ("/log/x", "/3", "x"),
            ("bare/x", "/4", "x"),
        ] {
            let found = roots.find(path).unwrap();
            assert_eq!((found.root.to_str(), found.rest.as_str()), (Some(root), rest), "{path}");
        }
        for path in ["", "/", ".", "/b", "a", "/bare", "/etc/passwd", "/lo", "/a\0"] {
            assert_eq!(roots.find(path).unwrap_err(), FilesError::NotFound, "{path}");
        }
    }

    #[test]
    fn dots_are_refused_whatever_they_lead_to() {
        let roots = roots(&[("/a", "/1")]);
        for path in ["..", "/..", "/a/..", "/a/b/../c", "/a/../a", "/../../etc/passwd", "/nothing/.."] {
            assert_eq!(roots.find(path).unwrap_err(), FilesError::outside(path), "{path}");
        }
        assert_eq!(roots.find("/a/..b/c..").unwrap().rest, "..b/c..");
    }

    #[test]
    fn paths_and_their_number_are_bounded() {
        let mut roots = roots(&[]);
        let long = "/a".repeat(PATH_BYTES / 2);
        assert_eq!(roots.find(&long).unwrap_err(), FilesError::NotFound);
        assert!(matches!(roots.find(&format!("{long}/")).unwrap_err(), FilesError::Invalid(_)));
        for bad in ["", "/", "/a/..", &format!("{long}b")] {
            assert!(matches!(roots.attach(bad, PathBuf::new()), Err(AttachError::BadPath(_))), "{bad}");
        }
        for number in 0..ATTACHMENTS {
            roots.attach(&format!("/{number}"), PathBuf::new()).unwrap();
        }
        assert!(matches!(roots.attach("/more", PathBuf::new()), Err(AttachError::Full(_))));
        roots.attach("/7", PathBuf::from("/again")).unwrap();
        assert!(roots.detach("/7/"));
        assert!(!roots.detach("/7"));
        roots.attach("/more", PathBuf::new()).unwrap();
    }
}
