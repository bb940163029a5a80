//! How those who run beside the actor see the machine.

use super::snapshot::Snapshot;
use crate::core::Input;

/// Most who wait for one snapshot; further ones are refused. Ours: a snapshot takes less than a turn.
pub(crate) const MAX_WAITING: usize = 4096;

/// The way to the machine.
pub(crate) type Feeder = libactor::Feeder<Input>;

/// Those who wait for a snapshot.
pub(crate) type View = libactor::View<Input, Snapshot>;
