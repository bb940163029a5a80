//! What tests of isolators share.

use std::path::Path;
use std::sync::Arc;

use protocol::ContainerId;
use tokio::sync::mpsc;

use super::{DeviceAccess, IsolationSettings, Surroundings};
use crate::core::Limitation;

/// Surroundings without cgroups, and what they are told of broken limits.
pub(super) fn surroundings(
    place: &Path,
    settings: IsolationSettings,
) -> (Surroundings, mpsc::Receiver<(ContainerId, Limitation)>) {
    let (broken, breaches) = mpsc::channel(8);
    let (offered, _) = mpsc::channel(1);
    let around = Surroundings {
        work_dir: place.to_owned(),
        runtime_dir: place.to_owned(),
        cgroup: "meseta-test".to_owned(),
        tree: None,
        devices: DeviceAccess::default(),
        settings: Arc::new(settings),
        broken,
        offered,
    };
    (around, breaches)
}
