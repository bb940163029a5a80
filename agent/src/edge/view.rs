//! How those who run beside the actor see the machine.

use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::core::Input;

/// The way to the machine.
pub(crate) type Feeder = libactor::Feeder<Input>;

/// Those who wait for a snapshot.
pub(crate) type View = libactor::View<Input, Arc<Snapshot>>;
