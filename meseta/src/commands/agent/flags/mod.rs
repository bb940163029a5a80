//! The flags of an agent, a file for each of their groups.

mod cgroups;
mod containers;
mod fetcher;
mod general;
mod gpu;
mod privileges;
mod recovery;
mod sandbox;
mod shared;

use crate::flags::{Flag, count, join};

const GROUPS: &[&[Flag]] = &[
    general::FLAGS,
    recovery::FLAGS,
    containers::FLAGS,
    cgroups::FLAGS,
    privileges::FLAGS,
    gpu::FLAGS,
    fetcher::FLAGS,
    sandbox::FLAGS,
    shared::FLAGS,
];

/// All of them, in the order of `meseta help agent`.
pub(super) const FLAGS: &[Flag] = &join::<{ count(GROUPS) }>(GROUPS);
