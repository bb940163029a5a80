//! The two ways to find and end all processes of a container.

use std::io;
use std::path::PathBuf;

use protocol::ContainerId;

use super::cgroup::Cgroups;
use super::posix::{self, Sessions};
use crate::os;

/// `--launcher`: how process trees are kept together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LauncherKind {
    /// Cgroups where the agent is root and can make one, else sessions.
    #[default]
    Auto,
    /// Cgroups of the second version (`linux`).
    Cgroup,
    /// Sessions, parents and a mark in the environment (`posix`).
    Posix,
}

#[derive(Clone, Debug)]
pub(super) enum Tree {
    Cgroup(Cgroups),
    Posix(Sessions),
}

impl Tree {
    /// Chooses. Must be called on a tokio runtime: the posix kind begins to reap.
    pub(super) fn choose(kind: LauncherKind, cgroups_root: &str) -> io::Result<Self> {
        match kind {
            LauncherKind::Cgroup => Ok(Tree::Cgroup(Cgroups::find(cgroups_root)?)),
            LauncherKind::Posix => Self::posix(),
            LauncherKind::Auto if !os::is_root() => Self::posix(),
            LauncherKind::Auto => match Cgroups::find(cgroups_root) {
                Ok(cgroups) => Ok(Tree::Cgroup(cgroups)),
                Err(error) => {
                    tracing::info!(%error, "containers are kept together by sessions: no usable cgroup2");
                    Self::posix()
                }
            },
        }
    }

    fn posix() -> io::Result<Self> {
        let sessions = Sessions::begin()?;
        tokio::spawn(posix::reap_for_ever());
        Ok(Tree::Posix(sessions))
    }

    /// Prepares a container's tree; the cgroup that its first process is to join, if any.
    pub(super) fn prepare(&self, container_id: &ContainerId) -> io::Result<Option<PathBuf>> {
        match self {
            Tree::Cgroup(cgroups) => cgroups.make(container_id).map(Some),
            Tree::Posix(_) => Ok(None),
        }
    }

    pub(super) fn started(&self, main: i32) {
        match self {
            Tree::Cgroup(_) => {}
            Tree::Posix(sessions) => sessions.enter(main),
        }
    }

    /// Kills all processes while the first one may still run.
    pub(super) async fn kill(&self, container_id: &ContainerId, main: i32) -> io::Result<()> {
        match self {
            Tree::Cgroup(cgroups) => cgroups.kill(container_id),
            Tree::Posix(sessions) => sessions.end(container_id, main).await,
        }
    }

    /// Ends what is left after the first process has been waited for (`None`: it never started).
    pub(super) async fn end(&self, container_id: &ContainerId, main: Option<i32>) -> io::Result<()> {
        match (self, main) {
            (Tree::Cgroup(cgroups), _) => cgroups.end(container_id).await,
            (Tree::Posix(sessions), Some(main)) => {
                let ended = sessions.end(container_id, main).await;
                sessions.leave(main);
                ended
            }
            (Tree::Posix(_), None) => Ok(()),
        }
    }
}
