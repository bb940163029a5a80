//! What the library is asked. All that it does not tell is absent.

use std::fs;

use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError, TemperatureSensor, TopologyLevel};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device as Handle, Nvml};
use serde::Serialize;

use super::super::device::{Bus, Device, Gpu, Inventory, Nearness, Part};
use super::raw;

/// Most links of a GPU. Source: `NVML_NVLINK_MAX_LINKS`.
const MAX_LINKS: u32 = 18;
/// Most GPUs that are asked for. Ours: machines have 16.
const MAX_GPUS: u32 = 256;
/// Most instances of a GPU that are asked for. Ours: GPUs have 7.
const MAX_INSTANCES: u32 = 64;

/// How a GPU is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Why it can't be used; absent: it answers.
    pub problem: Option<String>,
    /// Errors of its memory that could not be corrected, since the driver has it.
    pub uncorrected: Option<u64>,
    /// Millijoules, since the driver has it.
    pub energy: Option<u64>,
}

/// How much a device is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GpuUsage {
    /// Which.
    pub uuid: String,
    /// Its model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Part of the last moments in which it computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utilization_percent: Option<u32>,
    /// Memory in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// All its memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// Degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<u32>,
    /// Electric power.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_milliwatts: Option<u32>,
}

pub(super) fn inventory(nvml: &Nvml) -> Result<Inventory, NvmlError> {
    let mut all = Inventory { driver: nvml.sys_driver_version().unwrap_or_default(), ..Inventory::default() };
    let mut handles = Vec::new();
    for index in 0..nvml.device_count()?.min(MAX_GPUS) {
        match nvml.device_by_index(index).and_then(|device| Ok((gpu(&device, index, &mut all.lost)?, device)))
        {
            Ok((gpu, device)) => {
                all.gpus.push(gpu);
                handles.push(device);
            }
            Err(error) => all.lost.push(format!("GPU {index}: {error}")),
        }
    }
    all.nearness = vec![vec![Nearness::default(); handles.len()]; handles.len()];
    for (a, device) in handles.iter().enumerate() {
        for b in 0..handles.len() {
            // The wrapper takes the other one's handle for good.
            let other = nvml.device_by_index(all.gpus[b].whole.index);
            all.nearness[a][b].bus =
                if a == b { Bus::Board } else { other.map_or(Bus::Unknown, |other| bus(device, other)) };
        }
        // Links to a switch, which all its GPUs have alike, make no difference.
        for link in (0..MAX_LINKS).map(|link| device.link_wrapper_for(link)) {
            let peer =
                link.is_active().ok().filter(|active| *active).and_then(|_| link.remote_pci_info().ok());
            let place = peer.and_then(|peer| {
                all.gpus.iter().position(|gpu| gpu.whole.pci_bus_id.as_ref() == Some(&peer.bus_id))
            });
            if let Some(b) = place {
                all.nearness[a][b].links += 1;
            }
        }
    }
    Ok(all)
}

fn bus(device: &Handle<'_>, other: Handle<'_>) -> Bus {
    match device.topology_common_ancestor(other) {
        Ok(TopologyLevel::Internal) => Bus::Board,
        Ok(TopologyLevel::Single) => Bus::Bridge,
        Ok(TopologyLevel::Multiple) => Bus::Bridges,
        Ok(TopologyLevel::HostBridge) => Bus::HostBridge,
        Ok(TopologyLevel::Node) => Bus::Node,
        Ok(TopologyLevel::System) => Bus::System,
        Err(_) => Bus::Unknown,
    }
}

fn gpu(device: &Handle<'_>, index: u32, lost: &mut Vec<String>) -> Result<Gpu, NvmlError> {
    let uuid = device.uuid()?;
    // One that has just fallen off the bus may still tell its name, but nothing of its memory.
    let memory = match device.memory_info() {
        Err(error @ (NvmlError::GpuLost | NvmlError::ResetRequired)) => return Err(error),
        told => told.ok(),
    };
    let pci_bus_id = device.pci_info().ok().map(|pci| pci.bus_id);
    let numa_node = device.numa_node_id().ok().or_else(|| numa_node(pci_bus_id.as_deref()?));
    let whole = Device {
        minor: device.minor_number().unwrap_or(index),
        name: name(device),
        memory_bytes: memory.map(|memory| memory.total),
        ecc: device.is_ecc_enabled().ok().map(|mode| mode.currently_enabled),
        uuid,
        index,
        pci_bus_id,
        numa_node,
        mig: None,
    };
    let divided = device.mig_mode().is_ok_and(|mode| mode.current == 1);
    Ok(Gpu { instances: divided.then(|| instances(device, &whole, lost)), whole })
}

fn name(device: &Handle<'_>) -> String {
    device.name().unwrap_or_else(|_| "unknown model".into())
}

fn instances(device: &Handle<'_>, whole: &Device, lost: &mut Vec<String>) -> Vec<Device> {
    let mut found = Vec::new();
    for place in 0..device.mig_device_count().unwrap_or_default().min(MAX_INSTANCES) {
        match device.mig_device_by_index(place).and_then(|part| instance(&part, whole)) {
            Ok(instance) => found.push(instance),
            // Its places need not be filled.
            Err(NvmlError::NotFound) => {}
            Err(error) => lost.push(format!("MIG device {place} of GPU {}: {error}", whole.index)),
        }
    }
    found
}

fn instance(part: &Handle<'_>, whole: &Device) -> Result<Device, NvmlError> {
    let which = Part {
        gpu_uuid: whole.uuid.clone(),
        gpu_instance: raw::gpu_instance(part)?,
        compute_instance: raw::compute_instance(part)?,
    };
    Ok(Device {
        uuid: part.uuid()?,
        name: name(part),
        memory_bytes: part.memory_info().ok().map(|memory| memory.total),
        mig: Some(which),
        ..whole.clone()
    })
}

/// As the kernel tells it; the library does so on a few machines only.
fn numa_node(pci_bus_id: &str) -> Option<u32> {
    // The library writes domains with eight digits, the kernel with four.
    let (domain, rest) = pci_bus_id.split_once(':')?;
    let domain = u32::from_str_radix(domain, 16).ok()?;
    let path = format!("/sys/bus/pci/devices/{domain:04x}:{}/numa_node", rest.to_ascii_lowercase());
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

pub(super) fn vitals(nvml: &Nvml, uuid: &str) -> Vitals {
    let of = |device: &Handle<'_>| match device.memory_info() {
        Err(
            error @ (NvmlError::GpuLost
            | NvmlError::ResetRequired
            | NvmlError::InvalidArg
            | NvmlError::NotFound
            | NvmlError::IrqIssue
            | NvmlError::Unknown),
        ) => Vitals { problem: Some(error.to_string()), ..Vitals::default() },
        // What it does not support is no illness.
        _ => Vitals {
            problem: None,
            uncorrected: device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).ok(),
            energy: device.total_energy_consumption().ok(),
        },
    };
    match find(nvml, uuid) {
        Ok(device) => of(&device),
        Err(error) => Vitals { problem: Some(error.to_string()), ..Vitals::default() },
    }
}

pub(super) fn usage(nvml: &Nvml, uuid: &str) -> Option<GpuUsage> {
    let device = find(nvml, uuid).ok()?;
    let memory = device.memory_info().ok();
    Some(GpuUsage {
        uuid: uuid.to_owned(),
        name: device.name().ok(),
        utilization_percent: device.utilization_rates().ok().map(|rates| rates.gpu),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        temperature_celsius: device.temperature(TemperatureSensor::Gpu).ok(),
        power_milliwatts: device.power_usage().ok(),
    })
}

/// The device of this UUID, which may be an instance's. Handles are not kept: a reset makes new ones.
fn find<'nvml>(nvml: &'nvml Nvml, uuid: &str) -> Result<Handle<'nvml>, NvmlError> {
    match nvml.device_by_uuid(uuid) {
        Err(NvmlError::FailedToLoadSymbol(_) | NvmlError::NotSupported) => {
            let mut last = NvmlError::NotFound;
            for index in 0..nvml.device_count()?.min(MAX_GPUS) {
                match nvml.device_by_index(index).and_then(|device| Ok((device.uuid()?, device))) {
                    Ok((own, device)) if own == uuid => return Ok(device),
                    Ok(_) => {}
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        found => found,
    }
}
