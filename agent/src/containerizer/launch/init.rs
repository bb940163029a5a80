//! The first process of a namespace of process ids, where that is not the executor.

use std::io;
use std::process::ExitCode;

use crate::os;

/// Reaps all that ends in the namespace until the executor does, and ends as that does.
pub(super) fn outlive(executor: i32) -> ExitCode {
    loop {
        match os::reap_next() {
            Ok((pid, status)) if pid == executor => return ExitCode::from(status as u8),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Nobody else reaps, so the executor is there.
            Err(_) => return ExitCode::FAILURE,
        }
    }
}
