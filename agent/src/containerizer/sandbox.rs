//! Sandboxes: where executors run.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

/// Who may look into a sandbox: its user and that one's group, no other tasks' users. Source: Mesos.
const MODE: u32 = 0o750;

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    /// A part of the path would lead elsewhere.
    #[error("'{0}' is not a path below the work directory")]
    Path(PathBuf),
    /// The file system refuses.
    #[error("can't make the sandbox {path}: {source}")]
    Make {
        /// What was to be made.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Makes the sandbox of a run and points `runs/latest` at it. Returns its absolute path.
pub(crate) fn make(work_dir: &Path, relative: &Path) -> Result<PathBuf, SandboxError> {
    if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(SandboxError::Path(relative.to_path_buf()));
    }
    let path = work_dir.join(relative);
    let failed = |source| SandboxError::Make { path: path.clone(), source };
    fs::create_dir_all(&path).map_err(failed)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(MODE)).map_err(failed)?;
    if let (Some(runs), Some(name)) = (path.parent(), path.file_name()) {
        let latest = runs.join("latest");
        let failed = |source| SandboxError::Make { path: latest.clone(), source };
        // A name of its own first: replacing by renaming leaves no moment without `latest`.
        let new = runs.join(format!(".latest-{}", name.to_string_lossy()));
        match symlink(name, &new) {
            // A life of the agent that ended between these two steps has left it, and it points where it should.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(failed)?,
        }
        fs::rename(&new, &latest).map_err(failed)?;
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_points_at_the_newest_run() {
        let directory = tempfile::tempdir().unwrap();
        for run in ["one", "two"] {
            let path = make(directory.path(), Path::new("executors/e/runs").join(run).as_path()).unwrap();
            assert!(path.is_dir());
            let latest = fs::read_link(directory.path().join("executors/e/runs/latest")).unwrap();
            assert_eq!(latest, Path::new(run));
        }
    }

    #[test]
    fn users_of_other_tasks_can_not_look_into_a_sandbox() {
        let directory = tempfile::tempdir().unwrap();
        let path = make(directory.path(), Path::new("executors/e/runs/one")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750);
    }

    #[test]
    fn a_sandbox_that_was_half_made_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let runs = directory.path().join("executors/e/runs");
        fs::create_dir_all(runs.join("one")).unwrap();
        symlink("one", runs.join(".latest-one")).unwrap();
        make(directory.path(), Path::new("executors/e/runs/one")).unwrap();
        assert_eq!(fs::read_link(runs.join("latest")).unwrap(), Path::new("one"));
        assert!(!runs.join(".latest-one").is_symlink());
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["../x", "/etc/x", "a/../../x"] {
            assert!(matches!(make(directory.path(), Path::new(path)), Err(SandboxError::Path(_))), "{path}");
        }
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("executors"), "").unwrap();
        let error = make(directory.path(), Path::new("executors/e")).unwrap_err();
        assert!(error.to_string().contains("executors/e"), "{error}");
    }
}
