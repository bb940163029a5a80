//! What is served and what is not, both ways of finding it.

mod escapes;
mod served;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

const SECRET: &str = "what nobody may see";
const BOTH: [Way; 2] = [Way::Kernel, Way::Names];

/// A root that is attached to `/r`, and a secret beside it.
struct Place {
    directory: TempDir,
    files: Files,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let place = Place { directory, files: Files::new() };
    fs::create_dir_all(place.root().join("d/e")).unwrap();
    fs::write(place.root().join("f"), "f's text").unwrap();
    fs::write(place.root().join("d/e/g"), "g's text").unwrap();
    fs::create_dir(place.outside("o")).unwrap();
    fs::write(place.outside("o/secret"), SECRET).unwrap();
    place.files.attach("/r", place.root()).unwrap();
    place
}

impl Place {
    fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    fn root(&self) -> PathBuf {
        self.outside("root")
    }

    fn link(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.root().join(name)).unwrap();
    }

    fn read(&self, path: &str, way: Way) -> Result<String, FilesError> {
        let piece = content::read(&self.files.find(path)?, way, Some(0), None)?;
        Ok(String::from_utf8(piece.data.to_vec()).unwrap())
    }

    fn names(&self, path: &str, way: Way) -> Result<Vec<String>, FilesError> {
        let infos = list::list(&self.files.find(path)?, way)?;
        Ok(infos.into_iter().map(|info| info.path).collect())
    }

    /// It is refused in every way and by every endpoint.
    #[track_caller]
    fn refused(&self, path: &str) {
        for way in BOTH {
            let read = self.read(path, way);
            assert!(matches!(read, Err(FilesError::Refused(_))), "{path} {way:?}: {read:?}");
            let names = self.names(path, way);
            assert!(matches!(names, Err(FilesError::Refused(_))), "{path} {way:?}: {names:?}");
        }
    }

    #[track_caller]
    fn not_found(&self, path: &str) {
        for way in BOTH {
            assert_eq!(self.read(path, way), Err(FilesError::NotFound), "{path} {way:?}");
            assert_eq!(self.names(path, way), Err(FilesError::NotFound), "{path} {way:?}");
        }
    }

    #[track_caller]
    fn reads(&self, path: &str, text: &str) {
        for way in BOTH {
            assert_eq!(self.read(path, way).as_deref(), Ok(text), "{path} {way:?}");
        }
    }

    /// It is no file that is read, and nothing waits for it.
    #[track_caller]
    fn no_file(&self, path: &str) {
        let error = FilesError::Refused(format!("'{path}' is neither a regular file nor a directory."));
        for way in BOTH {
            assert_eq!(self.read(path, way), Err(error.clone()), "{path} {way:?}");
            assert_eq!(self.names(path, way), Ok(vec![]), "{path} {way:?}");
        }
    }
}
