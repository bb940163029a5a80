//! GPUs as plain data: what the driver tells, and what containers own.

use std::{fmt, slice};

use serde::{Deserialize, Serialize};

/// All that the driver knows of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The driver's version, such as `550.54.15`; empty: it does not tell.
    pub driver: String,
    /// Its GPUs, by their index. Those that could not even tell their UUID are missing.
    pub gpus: Vec<Gpu>,
    /// What is wrong with those that are missing, as sentences.
    pub lost: Vec<String>,
    /// How near each two are, by their places in `gpus`.
    pub nearness: Vec<Vec<Nearness>>,
}

/// One GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpu {
    /// All of it.
    pub whole: Device,
    /// Its instances, if it is divided (MIG): then it is used by these alone.
    pub instances: Option<Vec<Device>>,
}

impl Gpu {
    /// What containers can own of it.
    fn parts(&self) -> &[Device] {
        self.instances.as_deref().unwrap_or(slice::from_ref(&self.whole))
    }
}

/// How near two GPUs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nearness {
    /// How they meet on the bus.
    pub bus: Bus,
    /// Links of NVLink between the two.
    pub links: u32,
}

/// Where two GPUs meet on the PCI bus, far to near.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bus {
    /// The driver does not tell.
    #[default]
    Unknown,
    /// Only across the connection of the CPUs.
    System,
    /// At one NUMA node.
    Node,
    /// At one host bridge.
    HostBridge,
    /// At PCI bridges below one host bridge.
    Bridges,
    /// At one PCI bridge.
    Bridge,
    /// They are on one board, or are one GPU.
    Board,
}

impl Nearness {
    /// One GPU with itself: its instances.
    pub const SAME: Self = Self { bus: Bus::Board, links: 0 };

    /// What it is worth to have the two in one container. Source: NVIDIA go-gpuallocator: ten for each step on the bus, a
    /// hundred for each link.
    pub fn worth(self) -> u32 {
        let bus = match self.bus {
            Bus::Unknown => 0,
            Bus::System => 10,
            Bus::Node => 20,
            Bus::HostBridge => 30,
            Bus::Bridges => 40,
            Bus::Bridge => 50,
            Bus::Board => 60,
        };
        bus + self.links.min(100) * 100
    }
}

/// What a container can own: a GPU, or an instance of one that is divided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `GPU-...` or `MIG-...`.
    pub uuid: String,
    /// Of the GPU, as the driver counts: may change with a restart of the machine.
    pub index: u32,
    /// N in `/dev/nvidiaN` of the GPU.
    pub minor: u32,
    /// Its model, such as `NVIDIA H200` or `NVIDIA H200 MIG 1g.18gb`.
    pub name: String,
    /// All of its memory.
    pub memory_bytes: Option<u64>,
    /// Of the GPU, such as `00000000:3B:00.0`.
    pub pci_bus_id: Option<String>,
    /// The NUMA node that the GPU is near to.
    pub numa_node: Option<u32>,
    /// Whether the memory of the GPU corrects errors.
    pub ecc: Option<bool>,
    /// Which part of the GPU it is; absent: all of it.
    pub mig: Option<Part>,
}

/// Which part of a GPU a device is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The GPU.
    pub gpu_uuid: String,
    /// Its GPU instance: memory and engines.
    pub gpu_instance: u32,
    /// Its compute instance in that.
    pub compute_instance: u32,
}

impl Device {
    /// The UUID of the GPU that it is, or is a part of.
    pub fn gpu_uuid(&self) -> &str {
        self.mig.as_ref().map_or(&self.uuid, |part| &part.gpu_uuid)
    }
}

impl fmt::Display for Device {
    /// For people: `GPU 3 (NVIDIA H200, GPU-...)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mig {
            None => write!(f, "GPU {} ({}, {})", self.index, self.name, self.uuid),
            Some(part) => {
                let (gpu, compute) = (part.gpu_instance, part.compute_instance);
                write!(f, "instance {gpu}/{compute} of GPU {} ({}, {})", self.index, self.name, self.uuid)
            }
        }
    }
}

impl Inventory {
    /// What containers can own (GPUs that are not divided, and instances of those that are), of that what `wanted` takes, with what each two are worth together.
    pub fn devices(&self, wanted: impl Fn(&Device) -> bool) -> Devices {
        // Each with the place of its GPU.
        let all = self
            .gpus
            .iter()
            .enumerate()
            .flat_map(|(place, gpu)| gpu.parts().iter().map(move |part| (place, part)));
        let placed: Vec<(usize, &Device)> = all.filter(|(_, device)| wanted(device)).collect();
        let worth = |a: usize, b: usize| {
            let between = if a == b {
                Some(Nearness::SAME)
            } else {
                self.nearness.get(a).and_then(|row| row.get(b)).copied()
            };
            between.unwrap_or_default().worth()
        };
        let matrix =
            placed.iter().map(|(a, _)| placed.iter().map(|(b, _)| worth(*a, *b)).collect()).collect();
        Devices { all: placed.into_iter().map(|(_, device)| device.clone()).collect(), worth: matrix }
    }
}

/// What containers can own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// In the order of the driver.
    pub all: Vec<Device>,
    /// What each two are worth together, by their places in `all`.
    pub worth: Vec<Vec<u32>>,
}

impl Devices {
    /// One more, of which it is not known how near it is to the others.
    pub(super) fn add(&mut self, device: Device) {
        self.all.push(device);
        self.worth.iter_mut().for_each(|row| row.push(0));
        self.worth.push(vec![0; self.all.len()]);
    }
}
