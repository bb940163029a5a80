//! The GPUs of the machine, as the flags say.

use std::path::Path;

use agent::containerizer::isolation::gpu::GpuSettings;

use super::super::Failure;
use crate::flags::Flags;

/// Those that the agent takes; none where GPUs are not isolated, since nobody would keep containers apart.
pub(super) fn find(flags: &Flags, isolation: &str) -> Result<GpuSettings, Failure> {
    let wanted = flags.text("nvidia_gpu_devices").unwrap_or_default();
    let isolated = isolation.split(',').any(|name| ["auto", "gpu", "gpu/nvidia"].contains(&name.trim()));
    if isolated {
        return Ok(GpuSettings::find(flags.text("nvml_library").map(Path::new), wanted)?);
    }
    if !wanted.is_empty() {
        let problem = "GPUs need 'gpu/nvidia' in --isolation".to_owned();
        return Err(flags.refuse("nvidia_gpu_devices", problem).into());
    }
    Ok(GpuSettings::none("--isolation does not name gpu/nvidia"))
}
