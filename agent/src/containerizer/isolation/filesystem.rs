//! `filesystem/linux`: volumes, and a `/tmp` of its own.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use protocol::ContainerId;
use protocol::wire::v1::volume::source::{self, sandbox_path};
use protocol::wire::v1::{self, volume};
use serde_json::Value;

use super::plan::Mount;
use super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings};
use crate::account::Account;
use crate::containerizer::walk::{self, Make};
use crate::os;

/// Settings of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilesystemSettings {
    /// `--private_tmp`: each container has a `/tmp` and a `/var/tmp` of its own, in its sandbox.
    pub private_tmp: bool,
}

/// Places that all users write to, and what they are within the sandbox where they are private.
const SHARED: [(&str, &str); 2] = [("/tmp", ".private/tmp"), ("/var/tmp", ".private/var_tmp")];

/// It.
pub struct FilesystemIsolator(FilesystemSettings);

impl FilesystemIsolator {
    /// Makes it.
    ///
    /// # Errors
    /// The agent is not root.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        match os::is_root() {
            true => Ok(Arc::new(Self(around.settings.filesystem))),
            false => Err("the agent is not root, so it can't mount".to_owned()),
        }
    }
}

impl Isolator for FilesystemIsolator {
    fn name(&self) -> &'static str {
        "filesystem/linux"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        if self.0.private_tmp {
            let failed = |error| IsolationError(format!("can't make a /tmp of the container's own: {error}"));
            private_tmp(container.sandbox, plan).map_err(failed)?;
        }
        for volume in &container.asked().volumes {
            let mount = mount_of(volume, container).map_err(|why| {
                IsolationError(format!("the volume '{}' of the container: {why}", volume.container_path))
            })?;
            plan.mounts.push(mount);
        }
        Ok(Value::Null)
    }

    fn recover(&self, _known: &Known<'_>) -> Result<(), IsolationError> {
        Ok(())
    }

    /// Mounts end with the last process that sees them.
    fn cleanup(&self, _container_id: &ContainerId) -> Result<(), IsolationError> {
        Ok(())
    }
}

fn private_tmp(sandbox: &Path, plan: &mut LaunchPlan) -> io::Result<()> {
    let base = walk::directory(sandbox)?;
    for (shared, own) in SHARED.iter().filter(|(shared, _)| Path::new(shared).is_dir()) {
        let made = walk::below(&base, Path::new(own), Make::Directory)?;
        let path = format!("/proc/self/fd/{}", made.as_raw_fd());
        if !std::fs::metadata(&path)?.is_dir() {
            // What was fetched stands there.
            let taken = format!("'{own}' in the sandbox is no directory");
            return Err(io::Error::new(io::ErrorKind::NotADirectory, taken));
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o1777))?;
        plan.mounts.push(Mount {
            source: Some(sandbox.join(own)),
            target: PathBuf::from(shared),
            options: "nosuid,nodev".to_owned(),
            ..Mount::default()
        });
    }
    if SHARED.iter().any(|(shared, _)| sandbox.starts_with(shared)) {
        // It would be hidden.
        let sandbox = sandbox.to_owned();
        plan.mounts.push(Mount { source: Some(sandbox.clone()), target: sandbox, ..Mount::default() });
    }
    Ok(())
}

fn mount_of(volume: &v1::Volume, container: &Container<'_>) -> Result<Mount, String> {
    let target = inside(&volume.container_path, container.sandbox)?;
    if target == container.sandbox || target == Path::new("/") {
        return Err("'container_path' must name a place below".to_owned());
    }
    if !target.starts_with(container.sandbox) && !target.exists() {
        return Err(
            "an absolute 'container_path' must be there on the agent; name one in the sandbox".to_owned()
        );
    }
    let source = source_of(volume, container)?;
    let read_only = volume.mode() == volume::Mode::Ro;
    Ok(Mount { source: Some(source), target, read_only, ..Mount::default() })
}

/// What is mounted.
fn source_of(volume: &v1::Volume, container: &Container<'_>) -> Result<PathBuf, String> {
    let Some(source) = &volume.source else {
        return match (&volume.host_path, &volume.image) {
            (Some(path), None) if Path::new(path).is_absolute() => host_path(path),
            (Some(path), None) => own_directory(path, container),
            (None, None) => Err("it names no source".to_owned()),
            (_, Some(_)) => Err("images are not supported".to_owned()),
        };
    };
    match (source.r#type(), &source.host_path, &source.sandbox_path) {
        (source::Type::HostPath, Some(asked), _) => {
            let mode = asked.mount_propagation.as_ref().map(|propagation| propagation.mode());
            if mode == Some(v1::mount_propagation::Mode::Bidirectional) {
                return Err(
                    "mounts of a container never reach its agent: leave mount_propagation out".to_owned()
                );
            }
            host_path(&asked.path)
        }
        (source::Type::SandboxPath, _, Some(asked)) if asked.r#type() == sandbox_path::Type::Parent => {
            Err("a path of the parent's sandbox is for nested containers".to_owned())
        }
        (source::Type::SandboxPath, _, Some(asked)) => own_directory(&asked.path, container),
        (source::Type::HostPath | source::Type::SandboxPath, ..) => {
            Err("it does not say which path".to_owned())
        }
        (other, ..) => Err(format!("sources of type {} are not supported", other.as_str_name())),
    }
}

fn host_path(path: &str) -> Result<PathBuf, String> {
    let wanted = Path::new(path);
    if !wanted.is_absolute() || wanted.components().any(|part| part == Component::ParentDir) {
        return Err(format!("the host's path '{path}' must be absolute and without '..'"));
    }
    match wanted.symlink_metadata() {
        Ok(_) => Ok(wanted.to_owned()),
        Err(error) => Err(format!("the host's path '{path}': {error}")),
    }
}

/// A directory of the sandbox, made for its user where it is missing.
fn own_directory(path: &str, container: &Container<'_>) -> Result<PathBuf, String> {
    if Path::new(path).is_absolute() {
        return Err(format!("the sandbox's path '{path}' must be relative"));
    }
    let whole = inside(path, container.sandbox)?;
    let below = whole.strip_prefix(container.sandbox).map_err(|error| error.to_string())?;
    let owner = container.spec.user.as_deref().map(Account::find).transpose();
    let owner = owner.map_err(|error| error.to_string())?.flatten();
    let make = || {
        let base = walk::directory(container.sandbox)?;
        match walk::below(&base, below, Make::Nothing) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found.map(drop),
        }
        let mut here = base;
        for part in below.components() {
            let part = Path::new(part.as_os_str());
            match walk::below(&here, part, Make::Nothing) {
                Ok(next) => here = next,
                Err(_) => {
                    here = walk::below(&here, part, Make::Directory)?;
                    if let Some(owner) = &owner {
                        let at = format!("/proc/self/fd/{}", here.as_raw_fd());
                        owner.own(&File::open(at)?)?;
                    }
                }
            }
        }
        Ok(())
    };
    make().map_err(|error: io::Error| format!("'{path}' in the sandbox: {error}"))?;
    Ok(whole)
}

/// A path of the container: absolute, or in its sandbox.
fn inside(path: &str, sandbox: &Path) -> Result<PathBuf, String> {
    let wanted = Path::new(path);
    let plain = |part| matches!(part, Component::Normal(_) | Component::RootDir | Component::CurDir);
    if path.is_empty() || !wanted.components().all(plain) {
        return Err(format!("'{path}' must be a path without '..'"));
    }
    // What is empty or '.' within it says nothing.
    Ok(sandbox.join(wanted).components().filter(|part| *part != Component::CurDir).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_fetched_to_the_place_of_a_private_tmp_stays_as_it_is() {
        let sandbox = tempfile::tempdir().unwrap();
        let file = sandbox.path().join(".private/tmp");
        std::fs::create_dir(sandbox.path().join(".private")).unwrap();
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let error = private_tmp(sandbox.path(), &mut LaunchPlan::default()).unwrap_err();
        assert!(error.to_string().contains("'.private/tmp' in the sandbox is no directory"), "{error}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        std::fs::remove_file(&file).unwrap();
        let mut plan = LaunchPlan::default();
        private_tmp(sandbox.path(), &mut plan).unwrap();
        assert!(plan.mounts.len() >= 2 && file.is_dir());
    }
}
