//! What this machine offers unless it is told: CPUs, memory, disk, ports and GPUs.

use std::io;
use std::path::Path;

use protocol::resources::{ParseResourcesError, Reservation, ReservationKind, Scalar, Value};
use protocol::{Resource, Resources, Role};

use crate::containerizer::isolation::gpu::GpuSettings;
use crate::os;

const MB: u64 = 1 << 20;
/// Kept for the system and the agent. Source: Mesos: total - 1 GB where that leaves more than half.
const MEM_KEPT_MB: u64 = 1024;
/// Kept for the system. Source: Mesos: 5 GB, or half.
const DISK_KEPT_MB: u64 = 5 * 1024;
/// Source: Mesos `DEFAULT_PORTS`.
const PORTS: (u64, u64) = (31000, 32000);

/// Why the machine's resources are not known.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The operator's text is not resources.
    #[error(transparent)]
    Text(#[from] ParseResourcesError),
    /// The number of CPUs can't be told.
    #[error("can't count CPUs: {0}; say cpus:N in --resources")]
    Cpus(io::Error),
    /// The amount of memory can't be told.
    #[error("can't read the size of the memory from /proc/meminfo: {0}; say mem:MB in --resources")]
    Mem(io::Error),
    /// The amount of disk can't be told.
    #[error("can't tell the size of the file system of {path}: {source}; say disk:MB in --resources")]
    Disk {
        /// The work directory.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// Half a GPU.
    #[error("GPUs can't be shared: 'gpus' in --resources must be a whole number, not {0}")]
    Fraction(Scalar),
    /// `--resources` and the machine's GPUs disagree.
    #[error(
        "--resources offers {said} GPUs, and there are {found}: leave gpus out of --resources, or name as many in \
         --nvidia_gpu_devices"
    )]
    Gpus {
        /// In `--resources`.
        said: u64,
        /// On the machine, of those that are named in `--nvidia_gpu_devices`.
        found: usize,
    },
}

/// What the machine offers. What `text` (`--resources`) names is taken from there, the rest is probed: CPUs that this
/// process may use; memory less 1 GB and the file system of `work_dir` less 5 GB, or half where there is less than twice
/// that; ports 31000-32000; the GPUs that were found. What has no role gets `default_role`. GPUs that are said must be as many as
/// were found, or none; where none can be found they are believed, for schedulers that count them.
///
/// # Errors
/// The text is not resources, the machine does not tell, or the two disagree.
pub fn resources(
    text: &str,
    default_role: &Role,
    work_dir: &Path,
    gpus: &GpuSettings,
) -> Result<Resources, ProbeError> {
    let said: Resources = text.parse()?;
    let names = |name: &str| {
        // An amount of zero leaves no entry; it has been said all the same.
        said.iter().any(|resource| &*resource.name == name)
            || text.split(';').any(|part| {
                let head = part.split(':').next().unwrap_or_default();
                head.split('(').next().unwrap_or_default().trim() == name
            })
    };
    let mut probed = Vec::new();
    if !names("cpus") {
        let cpus = std::thread::available_parallelism().map_err(ProbeError::Cpus)?;
        probed.push(Resource::scalar("cpus", Scalar::from_units(cpus.get() as u64)));
    }
    if !names("mem") {
        let total = memory_mb().map_err(ProbeError::Mem)?;
        probed.push(Resource::scalar("mem", Scalar::from_units(less(total, MEM_KEPT_MB))));
    }
    if !names("disk") {
        let failed = |source| ProbeError::Disk { path: work_dir.display().to_string(), source };
        // All of it, not what is free now: an agent that comes back offers what it has offered.
        let (_, total) = os::disk_space(existing(work_dir)).map_err(failed)?;
        probed.push(Resource::scalar("disk", Scalar::from_units(less(total / MB, DISK_KEPT_MB))));
    }
    if !names("ports") {
        let ports = Value::Ranges([PORTS].into_iter().collect());
        probed.push(Resource { value: ports, ..Resource::scalar("ports", Scalar::ZERO) });
    }
    let found = gpus.devices.all.len();
    match names("gpus") {
        true => agree(said.gpus(), found, gpus)?,
        false => probed.push(Resource::scalar("gpus", Scalar::from_units(found as u64))),
    }
    let all = said.iter().cloned().chain(probed);
    Ok(all.map(|resource| reserved(resource, default_role)).collect())
}

/// GPUs that are said must be there.
fn agree(said: Scalar, found: usize, gpus: &GpuSettings) -> Result<(), ProbeError> {
    if !said.millis().is_multiple_of(1000) {
        return Err(ProbeError::Fraction(said));
    }
    let said = said.millis() / 1000;
    if said > 0 && found == 0 {
        tracing::warn!(
            "{said} GPUs are offered as --resources says, and none can be found: {}",
            gpus.why_none
        );
    } else if said > 0 && said != found as u64 {
        return Err(ProbeError::Gpus { said, found });
    }
    Ok(())
}

/// The name of this machine, for people and for [`AgentInfo`](protocol::AgentInfo).
///
/// # Errors
/// The kernel does not tell.
pub fn hostname() -> io::Result<String> {
    os::hostname()
}

fn reserved(mut resource: Resource, role: &Role) -> Resource {
    if resource.reservations.is_empty() && !role.is_default() {
        let kind = ReservationKind::Static;
        resource.reservations.push(Reservation { kind, role: role.clone(), principal: None });
    }
    resource
}

fn less(amount: u64, kept: u64) -> u64 {
    if amount >= 2 * kept { amount - kept } else { amount / 2 }
}

/// The nearest directory above that is there: the work directory may be made later.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

fn memory_mb() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    parse_meminfo(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no line MemTotal"))
}

fn parse_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containerizer::isolation::gpu::Device;

    fn none() -> GpuSettings {
        GpuSettings::none("a test")
    }

    #[test]
    fn what_is_said_is_not_probed() {
        let text = "cpus:3.5;mem:100;disk:7;ports:[1-2];gpus(a):1";
        let resources = resources(text, &Role::default(), Path::new("/nowhere"), &none()).unwrap();
        assert_eq!(resources, text.parse().unwrap());
    }

    #[test]
    fn the_rest_is_probed() {
        let directory = tempfile::tempdir().unwrap();
        let resources =
            resources("mem:0", &Role::default(), &directory.path().join("later"), &none()).unwrap();
        assert!(resources.cpus() >= Scalar::from_units(1));
        assert_eq!(resources.mem(), Scalar::ZERO);
        assert_eq!(resources.ranges("ports").to_string(), "[31000-32000]");
        assert_eq!(resources.gpus(), Scalar::ZERO);
    }

    #[test]
    fn the_default_role_is_for_what_has_none() {
        let text = "cpus:1;mem(b):1;disk:1;ports:[1-2]";
        let resources = resources(text, &Role::from("a"), Path::new("/"), &none()).unwrap();
        assert_eq!(resources, "cpus(a):1;mem(b):1;disk(a):1;ports(a):[1-2]".parse().unwrap());
    }

    #[test]
    fn some_is_kept() {
        assert_eq!((less(24_000, 1024), less(2047, 1024), less(2048, 1024)), (22_976, 1023, 1024));
        assert_eq!(parse_meminfo("MemTotal:       24575 kB\nMemFree: 1 kB\n"), Some(23));
        assert_eq!(parse_meminfo(""), None);
    }

    #[test]
    fn gpus_are_those_that_were_found() {
        let mut gpus = none();
        gpus.devices.all = vec![Device::default(), Device::default()];
        let offered = |text: &str, gpus: &GpuSettings| {
            let all = resources(text, &Role::from("a"), Path::new("/"), gpus);
            all.map(|all| all.filtered(|one| &*one.name == "gpus").to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(offered("cpus:1", &gpus), Ok("gpus(a):2".into()));
        assert_eq!(offered("gpus(b):1;gpus:1", &gpus), Ok("gpus(a):1;gpus(b):1".into()));
        assert_eq!(offered("gpus:0", &gpus), Ok(String::new()));
        assert_eq!(offered("gpus:3", &none()), Ok("gpus(a):3".into()), "they are believed");
        let error = offered("gpus:1", &gpus).unwrap_err();
        assert!(error.starts_with("--resources offers 1 GPUs, and there are 2: leave gpus out"), "{error}");
        let error = offered("gpus:1.5", &gpus).unwrap_err();
        assert!(error.ends_with("must be a whole number, not 1.5"), "{error}");
    }
}
