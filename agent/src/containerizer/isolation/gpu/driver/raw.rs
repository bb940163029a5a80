//! What the wrapper of the driver's library does not offer: the numbers of instances, and events that name them.
#![allow(
    unsafe_code,
    reason = "the wrapper gives out the library's functions and handles for these calls only as they are"
)]

use nvml_wrapper::error::{NvmlError, nvml_sym, nvml_try};
use nvml_wrapper::{Device, EventSet};

/// The GPU instance that a MIG device is in.
pub(super) fn gpu_instance(device: &Device<'_>) -> Result<u32, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetGpuInstanceId.as_ref())?;
    let mut id = 0;
    // SAFETY: the handle is that of a device of this library, which lives; `id` is written only during the call.
    nvml_try(unsafe { call(device.handle(), &mut id) })?;
    Ok(id)
}

/// The compute instance that a MIG device is.
pub(super) fn compute_instance(device: &Device<'_>) -> Result<u32, NvmlError> {
    let call = nvml_sym(device.nvml().lib().nvmlDeviceGetComputeInstanceId.as_ref())?;
    let mut id = 0;
    // SAFETY: as above.
    nvml_try(unsafe { call(device.handle(), &mut id) })?;
    Ok(id)
}

/// What has happened to a device.
pub(super) struct Happened<'nvml> {
    /// Which; an instance's is its GPU.
    pub(super) device: Device<'nvml>,
    /// One of `nvmlEventType...`.
    pub(super) kind: u64,
    /// For an XID its number.
    pub(super) data: u64,
    /// The GPU instance; absent: it is about all of the GPU.
    pub(super) gpu_instance: Option<u32>,
}

/// Waits for an event, as [`EventSet::wait`] does.
pub(super) fn wait<'nvml>(set: &EventSet<'nvml>, timeout_ms: u32) -> Result<Happened<'nvml>, NvmlError> {
    let call = nvml_sym(set.nvml.lib().nvmlEventSetWait_v2.as_ref())?;
    // SAFETY: the library's structure is numbers and a handle, for which zeros stand; the set lives; what is written was
    // written by the call, and the handle in it is of a device of this library.
    unsafe {
        let mut data = std::mem::zeroed();
        nvml_try(call(set.handle(), &mut data, timeout_ms))?;
        let gpu_instance = (data.gpuInstanceId != u32::MAX).then_some(data.gpuInstanceId);
        let device = Device::new(data.device, set.nvml);
        Ok(Happened { device, kind: data.eventType, data: data.eventData, gpu_instance })
    }
}
