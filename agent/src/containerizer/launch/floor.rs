//! What the kernel alone takes to start and end processes as containers' are: what a containerizer is measured by.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::mount::{MsFlags, mount};

use crate::containerizer::syscalls::{self, CLONE_NEWNS, CLONE_NEWPID};
use crate::os;

/// Makes, executes `true` in, and waits for so many processes, one after another. With `cgroups`, each is in a new cgroup
/// below each of these (the first is of the second version), and has process ids and a `/proc` of its own.
///
/// Must be called where there is one thread only.
///
/// # Errors
/// The kernel refuses something.
pub fn floor(count: u64, cgroups: &[PathBuf]) -> io::Result<()> {
    let own = std::process::id();
    for number in 0..count {
        let places: Vec<PathBuf> =
            cgroups.iter().map(|place| place.join(format!("floor-{own}-{number}"))).collect();
        for place in &places {
            fs::create_dir_all(place)?;
        }
        let tree = places.first().map(fs::File::open).transpose()?;
        let flags = if places.is_empty() { 0 } else { CLONE_NEWPID | CLONE_NEWNS };
        let cgroup = tree.as_ref().map(std::os::fd::AsFd::as_fd);
        if syscalls::clone_process(flags, cgroup)?.is_none() {
            let error = become_true(&places).expect_err("it does not return where all went well");
            std::process::exit(error.raw_os_error().unwrap_or(1));
        }
        let (_, status) = os::reap_next()?;
        if status != 0 {
            return Err(io::Error::from_raw_os_error(status));
        }
        for place in &places {
            fs::remove_dir(place)?;
        }
    }
    Ok(())
}

fn become_true(places: &[PathBuf]) -> io::Result<()> {
    for place in places.iter().skip(1) {
        fs::write(place.join("cgroup.procs"), "0")?;
    }
    if !places.is_empty() {
        let nothing = None::<&str>;
        mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing)?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("proc"), "/proc", Some("proc"), flags, nothing)?;
    }
    Err(Command::new("true").exec())
}
