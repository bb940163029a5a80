//! Masters that replicate one registry: B4, B5, B5b, B10.

mod agents;
mod agents_in;
mod commits;
mod failover;
mod processes;

use std::error::Error;
use std::path::Path;

use super::{Effort, Figure, Findings};
use crate::commands::seed;

pub(super) fn register(effort: Effort) -> Findings {
    in_directory(|directory| agents_in::register(effort, directory))
}

pub(super) fn come_back(effort: Effort) -> Findings {
    agents_in::come_back(effort)
}

pub(super) fn fail_over(effort: Effort) -> Findings {
    in_directory(|directory| failover::run(effort, directory))
}

pub(super) fn commit(effort: Effort) -> Findings {
    in_directory(|directory| commits::run(effort, directory))
}

/// Measures in a directory of its own, which is taken away. It lies beside the program: a temporary directory may be in memory.
fn in_directory(measure: impl FnOnce(&Path) -> Result<Vec<Figure>, Box<dyn Error>>) -> Findings {
    let program = std::env::current_exe()?;
    let beside = program.parent().ok_or("the program lies in a directory")?;
    let directory = beside.join(format!("meseta-bench-{:016x}", seed()?));
    std::fs::create_dir_all(&directory)?;
    let measured = measure(&directory);
    std::fs::remove_dir_all(&directory)?;
    measured
}
