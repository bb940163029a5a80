//! The flags of an agent, a file for each of their groups.

mod cgroups;
mod containers;
mod fetcher;
mod general;
mod gpu;
mod places;
mod privileges;
mod recovery;
mod sandbox;

use super::super::{HTTP_FLAGS, LOG_FLAGS};
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
    places::FLAGS,
    &LOG_FLAGS,
    &HTTP_FLAGS,
];

/// All of them, in the order of `meseta help agent`.
pub(super) const FLAGS: &[Flag] = &join::<{ count(GROUPS) }>(GROUPS);
