//! File systems for the tests of all that keeps a journal, where the machine lets us have them.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says why a test does nothing.
pub(crate) fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// A file system that is there until this is dropped.
pub(crate) struct Mount(PathBuf);

impl Mount {
    pub(crate) fn new(root: &Path, options: &[&str], what: &Path) -> Option<Self> {
        let path = root.join("mounted");
        fs::create_dir_all(&path).unwrap();
        match Command::new("mount").args(options).arg(what).arg(&path).output() {
            Ok(output) if output.status.success() => Some(Self(path)),
            other => {
                skipped(&format!("nothing can be mounted: {other:?}"));
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Takes a tmpfs more room.
    pub(crate) fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }

    /// Stops an ext4 at once: what was not synced is lost. Tells whether the system lets us.
    pub(crate) fn lose_power(&self) -> bool {
        // Source: linux, fs/ext4/ext4.h: EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH.
        const SHUTDOWN: u64 = 0x8004_587d;
        let without_log: u32 = 2;
        let directory = File::open(&self.0).unwrap();
        #[allow(unsafe_code, reason = "no crate offers this request of ext4")]
        // SAFETY: the descriptor is open, and the request reads one u32, which outlives the call.
        let done = unsafe { nix::libc::ioctl(directory.as_raw_fd(), SHUTDOWN, &raw const without_log) };
        if done != 0 {
            skipped(&format!("ext4 can't be shut down: {}", std::io::Error::last_os_error()));
        }
        done == 0
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.0).status();
        if !done.is_ok_and(|status| status.success()) {
            // Somebody uses it still, after a failure: it goes when they are gone.
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
}
