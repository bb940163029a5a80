//! What the library tells by itself: events.

use std::ops::ControlFlow;
use std::time::Duration;

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, EventSet, Nvml};

use super::{Driver, DriverError, raw};

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// To which GPU: its UUID; absent: the library does not say.
    pub gpu: Option<String>,
    /// To which instance of it; absent: to all of it.
    pub gpu_instance: Option<u32>,
    /// What.
    pub kind: EventKind,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// An error of this number, as in the kernel's log.
    Xid(u64),
    /// Memory was lost: an error that could not be corrected.
    DoubleBit,
    /// Its instances are others.
    Divided,
}

impl Driver {
    /// Tells of events of these GPUs for as long as it is told to go on, on the calling thread: with `None` when there was none
    /// for the time that `pause` says.
    ///
    /// # Errors
    /// The driver has no events, or has them no more: a GPU has fallen off the bus.
    pub fn watch(
        &self,
        gpus: &[String],
        mut pause: impl FnMut() -> Duration,
        mut told: impl FnMut(Option<Event>) -> ControlFlow<()>,
    ) -> Result<(), DriverError> {
        let refused = |error: NvmlError| DriverError::Refused(error.to_string());
        let set = set(self.library.nvml(), gpus).map_err(refused)?;
        loop {
            let longest = u32::try_from(pause().as_millis()).unwrap_or(u32::MAX);
            let event = match raw::wait(&set, longest) {
                Ok(happened) => match event(&happened) {
                    Some(event) => Some(event),
                    None => continue,
                },
                Err(NvmlError::Timeout) => None,
                Err(error) => return Err(refused(error)),
            };
            if told(event).is_break() {
                return Ok(());
            }
        }
    }
}

fn event(happened: &raw::Happened<'_>) -> Option<Event> {
    let kinds = EventTypes::from_bits_truncate(happened.kind);
    let kind = if kinds.contains(EventTypes::CRITICAL_XID_ERROR) {
        EventKind::Xid(happened.data)
    } else if kinds.contains(EventTypes::DOUBLE_BIT_ECC_ERROR) {
        EventKind::DoubleBit
    } else if kinds.contains(EventTypes::MIG_CONFIG_CHANGE) {
        EventKind::Divided
    } else {
        return None;
    };
    Some(Event { gpu: happened.device.uuid().ok(), gpu_instance: happened.gpu_instance, kind })
}

/// A set of the events of all that have any.
fn set<'nvml>(nvml: &'nvml Nvml, gpus: &[String]) -> Result<EventSet<'nvml>, NvmlError> {
    let library = nvml.lib();
    // The wrapper calls this one without asking whether it is there.
    if library.nvmlEventSetFree.is_err() || library.nvmlEventSetWait_v2.is_err() {
        return Err(NvmlError::NotSupported);
    }
    let mut devices: Vec<(Device<'nvml>, EventTypes)> = Vec::new();
    for index in 0..nvml.device_count()? {
        let Ok(device) = nvml.device_by_index(index) else { continue };
        let wanted = device.uuid().is_ok_and(|uuid| gpus.contains(&uuid));
        let kinds = device.supported_event_types().unwrap_or(EventTypes::empty())
            & (EventTypes::CRITICAL_XID_ERROR
                | EventTypes::DOUBLE_BIT_ECC_ERROR
                | EventTypes::MIG_CONFIG_CHANGE);
        if wanted && !kinds.is_empty() {
            devices.push((device, kinds));
        }
    }
    // A set is lost with a device that can't be added to it: the next one does without.
    while !devices.is_empty() {
        let mut set = Some(nvml.create_event_set()?);
        let failed = devices.iter().position(|(device, kinds)| {
            set = set.take().and_then(|set| device.register_events(*kinds, set).ok());
            set.is_none()
        });
        match (failed, set) {
            (None, Some(set)) => return Ok(set),
            (failed, _) => drop(devices.remove(failed.unwrap_or_default())),
        }
    }
    Err(NvmlError::NotSupported)
}
