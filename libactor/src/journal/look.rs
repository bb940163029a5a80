//! A journal is looked at by a process of its own before another one opens it: sled panics on some damage, on whichever thread,
//! and a panic ends a process of a release build. So whoever opens a journal has seen a process come to its end with it, or
//! knows that its last user had closed it.
//!
//! ```text
//! the daemon                                  the process that looks
//!   closed? ── yes ──► opens it
//!      │ no
//!      ▼
//!   looked_at ── starts ────────────────────► look: opens it, reads all of it, ends
//!      │ ◄── 0: it can be opened ── else: its last line says what is wrong ──┘
//! ```

use std::fs::{self, File};
use std::io;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio, exit};
use std::sync::Arc;

use super::error::{Fault, JournalError, While};
use super::open::caught;
use super::{Journal, Portions, sync_directory};

/// The code of a process that has looked and found damage.
const DAMAGED: u8 = 3;

/// Of what a process says that has come to no good end, so many bytes are told on.
const SAID_BYTES: usize = 2048;

/// The file that says that the last user of a journal has closed it.
fn closed_file(home: &Path) -> PathBuf {
    home.join("closed")
}

/// Whether the journal in this directory was closed by its last user, or was never there.
pub fn closed(home: &Path) -> bool {
    closed_file(home).exists() || !home.join("journal").exists()
}

/// From now on the journal has a user.
pub(super) fn begin_use(home: &Path) -> Result<(), JournalError> {
    let path = closed_file(home);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_directory(home)).while_doing("remove", &path),
    }
}

/// All is durable, and nothing more is written.
pub(super) fn end_use(home: &Path) -> io::Result<()> {
    File::create(closed_file(home))?.sync_all()?;
    sync_directory(home)
}

/// Has the journal in this directory looked at by a process: `program`, which comes to [`look`].
///
/// # Errors
/// It is damaged, or the process can't be started.
pub fn looked_at(home: &Path, program: &mut Command) -> Result<(), JournalError> {
    let Output { status, stderr, .. } = program
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .while_doing("start a process that looks at", home)?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stderr[..stderr.len().min(SAID_BYTES)]);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = match (status.code(), said.as_str()) {
        (Some(code), said) if code == i32::from(DAMAGED) && !said.is_empty() => said.to_owned(),
        (_, "") => format!("the process that looked at it has ended with {status}"),
        (_, said) => format!("the process that looked at it has ended with {status}: {said}"),
    };
    Err(Fault::Damaged(what).at(home))
}

/// Looks at the journal in this directory: to be called by a process that does nothing else, and ends with what this gives. What
/// is wrong it says on standard error.
#[expect(clippy::print_stderr, reason = "its reader is the process that has started this one")]
pub fn look(home: &Path, portions: Portions) -> ExitCode {
    let words = Arc::new(|fault: &Fault| fault.to_string());
    // After the hook that this makes: ours counts, on all threads.
    let _ = caught(&(words.clone() as _), || ());
    panic::set_hook(Box::new(|info| {
        eprintln!("sled panics on it: {info}");
        exit(i32::from(DAMAGED));
    }));
    match Journal::open(home, portions, &(words as _)) {
        Err(JournalError::Fault { fault: Fault::Damaged(what), .. }) => {
            eprintln!("{what}");
            ExitCode::from(DAMAGED)
        }
        // What the system refuses is told by whoever opens it.
        Ok(_) | Err(_) => ExitCode::SUCCESS,
    }
}
