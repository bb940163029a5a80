//! What the launcher does in the new process before it is the executor, as the isolators want it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Plain data: it goes to the launcher. Carried out in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchPlan {
    /// Directories of cgroups to join.
    pub cgroups: Vec<PathBuf>,
    /// Namespaces of its own.
    pub namespaces: Namespaces,
    /// Mounts, in order, in a mount namespace of its own.
    pub mounts: Vec<Mount>,
    /// Limits of the process: `RLIMIT_` number, soft, hard; absent: infinite.
    pub rlimits: Vec<(u32, Option<u64>, Option<u64>)>,
    /// Sets of capabilities; absent: as the user's change leaves them.
    pub capabilities: Option<Capabilities>,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// Added to the executor's environment, after what the framework says: a framework can't say otherwise.
    pub environment: Vec<(String, String)>,
}

impl LaunchPlan {
    /// Whether the container has mounts of its own.
    pub fn has_mounts(&self) -> bool {
        self.namespaces.mount || self.namespaces.pid || !self.mounts.is_empty()
    }
}

/// Namespaces that a container has of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Process ids: the first process is 1, all others end with it.
    pub pid: bool,
    /// System V and POSIX message queues, shared memory.
    pub ipc: bool,
    /// Mounts. Implied by [`LaunchPlan::mounts`] and by `pid`, which has a `/proc` of its own.
    pub mount: bool,
}

/// One mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What: a path for a bind mount, else a name. Below the sandbox no symbolic link is followed.
    pub source: Option<PathBuf>,
    /// Where, absolute. Below the sandbox and below an earlier mount no symbolic link is followed, and what is not there is
    /// made, as a directory or a file like the source; elsewhere it must be there.
    pub target: PathBuf,
    /// The file system's type, such as `tmpfs`; absent: a bind mount of `source` with all below it.
    pub kind: Option<String>,
    /// As in `mount -o`.
    pub options: String,
    /// Whether nothing below can be changed through it.
    pub read_only: bool,
}

/// Sets of capabilities, by their numbers in `linux/capability.h`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Effective, permitted, inheritable and ambient; absent: root has all of the bounding set, others none.
    pub effective: Option<Vec<u8>>,
    /// What can ever be had.
    pub bounding: Vec<u8>,
}
