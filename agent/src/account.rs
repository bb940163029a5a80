//! Users of this machine.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{self, Gid, Uid, User};

/// Why nothing can be done as a user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    /// The machine can't tell.
    #[error("can't look up the user '{user}': {source}")]
    Lookup {
        /// Whom.
        user: String,
        /// Why not.
        source: io::Error,
    },
    /// The machine knows no such user.
    #[error("there is no user '{user}' on this agent")]
    Unknown {
        /// Whom.
        user: String,
    },
    /// It can't be taken up.
    #[error("can't become the user '{user}': {source}")]
    Become {
        /// Whom.
        user: String,
        /// Why not.
        source: io::Error,
    },
}

/// A user of this machine that this process is not.
pub(crate) struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// Looks a user up by name; `None`: this process is that one.
    pub(crate) fn find(name: &str) -> Result<Option<Self>, AccountError> {
        let user = || name.to_owned();
        let found = User::from_name(name)
            .map_err(|error| AccountError::Lookup { user: user(), source: error.into() })?;
        let found = found.ok_or_else(|| AccountError::Unknown { user: user() })?;
        let other = unistd::geteuid() != found.uid;
        Ok(other.then(|| Self { name: user(), uid: found.uid, gid: found.gid }))
    }

    /// Its ids, of user and group.
    pub(crate) fn ids(&self) -> (Uid, Gid) {
        (self.uid, self.gid)
    }

    /// Gives a file to the user.
    pub(crate) fn own(&self, file: &File) -> io::Result<()> {
        Ok(unistd::fchown(file, Some(self.uid), Some(self.gid))?)
    }

    /// Gives a directory to the user; a link that stands there is not followed.
    pub(crate) fn own_directory(&self, path: &Path) -> io::Result<()> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(path, flags, Mode::empty())?;
        self.own(&File::from(directory))
    }

    /// Becomes this user, for good, with all groups it is in.
    pub(crate) fn become_it(&self) -> Result<(), AccountError> {
        let failed = |source: io::Error| AccountError::Become { user: self.name.clone(), source };
        let name = CString::new(self.name.as_str()).map_err(|error| failed(error.into()))?;
        unistd::initgroups(&name, self.gid).map_err(|error| failed(error.into()))?;
        unistd::setgid(self.gid).map_err(|error| failed(error.into()))?;
        unistd::setuid(self.uid).map_err(|error| failed(error.into()))
    }
}
