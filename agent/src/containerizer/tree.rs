//! The two ways to find and end all processes of a container.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use protocol::ContainerId;

use super::cgroup::{self, Cgroups};
use super::posix::{self, Sessions};
use super::usage::{self, Usage};
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
    pub(super) fn choose(kind: LauncherKind, cgroups_root: &str, work_dir: &Path) -> io::Result<Self> {
        let cgroups = || Cgroups::find(cgroups_root)?.of(work_dir);
        match kind {
            LauncherKind::Cgroup => Ok(Tree::Cgroup(cgroups()?)),
            LauncherKind::Posix => Self::posix(),
            LauncherKind::Auto if !os::is_root() => Self::posix(),
            LauncherKind::Auto => match cgroups() {
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

    /// Takes away what this agent has made for all containers.
    pub(super) fn leave(&self) {
        if let Tree::Cgroup(cgroups) = self {
            cgroups.leave();
        }
    }

    /// How trees are kept together, for people.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Tree::Cgroup(_) => "linux",
            Tree::Posix(_) => "posix",
        }
    }

    /// The name of an agent's cgroup below the mount of any hierarchy.
    pub(super) fn cgroup_name(root: &str, work_dir: &Path) -> io::Result<String> {
        Ok(format!("{root}/{}", cgroup::own_name(work_dir)?))
    }

    /// The directory of the containers' cgroups, if they have some.
    pub(super) fn directory(&self) -> Option<PathBuf> {
        match self {
            Tree::Cgroup(cgroups) => Some(cgroups.directory().to_owned()),
            Tree::Posix(_) => None,
        }
    }

    /// Prepares a container's tree; the cgroup that its first process is to join, if any.
    pub(super) fn prepare(&self, container_id: &ContainerId) -> io::Result<Option<PathBuf>> {
        match self {
            Tree::Cgroup(cgroups) => cgroups.make(container_id).map(Some),
            Tree::Posix(_) => Ok(None),
        }
    }

    /// What containers, named with their first processes, use.
    pub(super) fn usage(&self, containers: &[(ContainerId, u32)]) -> BTreeMap<ContainerId, Usage> {
        match self {
            Tree::Cgroup(cgroups) => containers
                .iter()
                .filter_map(|(container_id, _)| Some((container_id.clone(), cgroups.usage(container_id)?)))
                .collect(),
            Tree::Posix(_) => usage::of_sessions(containers),
        }
    }

    /// The containers that there are, whoever has made them.
    pub(super) fn containers(&self) -> Vec<ContainerId> {
        match self {
            Tree::Cgroup(cgroups) => cgroups.containers(),
            Tree::Posix(_) => Vec::new(),
        }
    }

    /// A container of an earlier life is looked after.
    pub(super) fn recover(&self, container_id: &ContainerId, main: i32) {
        posix::enter(main);
        if let Tree::Posix(sessions) = self {
            sessions.recover(container_id);
        }
    }

    /// Kills all processes while the first one may still run.
    pub(super) async fn kill(&self, container_id: &ContainerId, main: i32) -> io::Result<()> {
        match self {
            Tree::Cgroup(cgroups) => cgroups.kill(container_id),
            Tree::Posix(sessions) => sessions.kill(container_id, main).await,
        }
    }

    /// Ends what is left after the first process has been waited for (`None`: it never started). What tells of the
    /// container's use stays until [`remove`](Self::remove).
    pub(super) async fn empty(&self, container_id: &ContainerId, main: Option<i32>) -> io::Result<()> {
        match (self, main) {
            (Tree::Cgroup(cgroups), main) => {
                main.inspect(|main| posix::leave(*main));
                cgroups.empty(container_id).await
            }
            (Tree::Posix(sessions), Some(main)) => {
                let ended = sessions.empty(container_id, main).await;
                sessions.leave(container_id, main);
                ended
            }
            (Tree::Posix(_), None) => Ok(()),
        }
    }

    /// Takes away what [`prepare`](Self::prepare) has made for a container of which no process is left.
    pub(super) fn remove(&self, container_id: &ContainerId) -> io::Result<()> {
        match self {
            Tree::Cgroup(cgroups) => cgroups.remove(container_id),
            Tree::Posix(_) => Ok(()),
        }
    }
}
