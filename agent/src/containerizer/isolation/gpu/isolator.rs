//! `gpu/nvidia`: each container gets the GPUs that it asked for, and no others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as channel};
use std::{fs, io};

use protocol::resources::Resource;
use protocol::{ContainerId, Reason, Resources};
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::{
    Container, DeviceAccess, IsolationError, Isolator, Known, LaunchPlan, Surroundings, Usage,
};
use super::device::Device;
use super::pool::Pool;
use super::settings::GpuSettings;
use super::{guard, nodes};
use crate::core::Limitation;

/// What container runtimes of NVIDIA and its tools look at. `void`: no GPUs, and nothing of the driver.
const VISIBLE: &str = "NVIDIA_VISIBLE_DEVICES";
/// What programs on GPUs look at.
const CUDA_VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// The isolator.
pub(super) struct GpuIsolator {
    shared: Arc<Shared>,
    /// Dropped with it: the guard ends.
    _stop: channel::SyncSender<()>,
}

/// What the isolator and its guard have in common.
pub(super) struct Shared {
    pub(super) settings: GpuSettings,
    pool: Mutex<Pool>,
    /// For which illness a container ends.
    limits: Mutex<BTreeMap<ContainerId, Limitation>>,
    access: DeviceAccess,
    /// Where assignments lie that have changed since the container began.
    changed: PathBuf,
    broken: mpsc::Sender<(ContainerId, Limitation)>,
    offered: mpsc::Sender<Resources>,
}

/// Makes it, or says why it can't work here.
pub(in super::super) fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
    let settings = around.settings.gpu.clone();
    if !settings.any() {
        return Err(format!("no GPUs: {}", settings.why_none));
    }
    if !around.devices.enforced() {
        tracing::warn!(
            "GPUs are assigned to containers, and nothing keeps a container from the others: add cgroups/devices to --isolation"
        );
    }
    let mut pool = Pool::new(settings.devices.clone());
    for uuid in &settings.gone {
        // Nobody owns anything yet.
        pool.fell_ill(uuid, "it was gone when the agent began");
    }
    let shared = Arc::new(Shared {
        pool: Mutex::new(pool),
        limits: Mutex::default(),
        access: around.devices.clone(),
        changed: around.runtime_dir.join("gpus"),
        broken: around.broken.clone(),
        offered: around.offered.clone(),
        settings,
    });
    let stop = guard::start(&shared).map_err(|error| format!("can't watch over GPUs: {error}"))?;
    Ok(Arc::new(GpuIsolator { shared, _stop: stop }))
}

impl Shared {
    pub(super) fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A container ends for what has become of its device.
    pub(super) fn end(&self, container_id: ContainerId, message: String) {
        let one = Resource::scalar("gpus", protocol::resources::Scalar::from_units(1));
        let limitation = Limitation {
            reason: Reason::ContainerLimitation,
            message,
            resources: [one].into_iter().collect(),
        };
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        limits.entry(container_id.clone()).or_insert_with(|| limitation.clone());
        drop(limits);
        // Nobody listens any more where it can't be sent.
        let _ = self.broken.blocking_send((container_id, limitation));
    }

    /// The machine offers this from now on.
    pub(super) fn offer(&self, total: Resources) {
        let _ = self.offered.blocking_send(total);
    }

    /// A container may use these devices and no others.
    fn open(&self, container_id: &ContainerId, devices: &[Device]) -> Result<(), IsolationError> {
        self.access.grant(container_id, &nodes::rules(&self.settings, devices)?)
    }

    fn changed(&self, container_id: &ContainerId) -> PathBuf {
        self.changed.join(container_id.as_str())
    }

    /// Keeps an assignment that is not the one that the container began with.
    fn keep(&self, container_id: &ContainerId, devices: &[Device]) -> io::Result<()> {
        fs::create_dir_all(&self.changed)?;
        let path = self.changed(container_id);
        let new = path.with_extension("new");
        fs::write(&new, state(devices).to_string())?;
        fs::rename(new, path)
    }

    /// What a container of an earlier life owns.
    fn kept(&self, known: &Known<'_>) -> Result<Vec<String>, IsolationError> {
        let damaged =
            |why: String| IsolationError(format!("can't tell which GPUs the container owns: {why}"));
        let later = match fs::read(self.changed(known.container_id)) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(damaged(error.to_string())),
        };
        let state: &Value = later.as_ref().unwrap_or(known.state);
        match &state["gpus"] {
            Value::Null => Ok(Vec::new()),
            uuids => serde_json::from_value(uuids.clone()).map_err(|error| damaged(error.to_string())),
        }
    }
}

/// How an assignment is kept.
fn state(devices: &[Device]) -> Value {
    serde_json::json!({ "gpus": devices.iter().map(|device| &device.uuid).collect::<Vec<_>>() })
}

/// How many GPUs these resources are.
fn count(resources: &Resources) -> Result<usize, IsolationError> {
    let gpus = resources.gpus();
    match gpus.millis() % 1000 {
        0 => Ok(usize::try_from(gpus.millis() / 1000).unwrap_or(usize::MAX)),
        _ => Err(IsolationError(format!("GPUs can't be shared: 'gpus' must be a whole number, not {gpus}"))),
    }
}

impl Isolator for GpuIsolator {
    fn name(&self) -> &'static str {
        super::NAME
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let container_id = &container.spec.container_id;
        let count = count(&container.spec.resources)?;
        let failed = |error: super::pool::PoolError| IsolationError(error.to_string());
        let devices = self.shared.pool().assign(container_id, count).map_err(failed)?;
        // Without any, what the container may not use is closed already.
        if !devices.is_empty() {
            self.shared.open(container_id, &devices)?;
        }
        let uuids: Vec<&str> = devices.iter().map(|device| device.uuid.as_str()).collect();
        let seen = if devices.is_empty() { "void".to_owned() } else { uuids.join(",") };
        plan.environment.push((VISIBLE.to_owned(), seen));
        plan.environment.push((CUDA_VISIBLE.to_owned(), uuids.join(",")));
        if devices.is_empty() {
            return Ok(Value::Null);
        }
        tracing::info!(%container_id, gpus = uuids.join(","), "a container owns GPUs");
        Ok(state(&devices))
    }

    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
        let uuids = self.shared.kept(known)?;
        let mut pool = self.shared.pool();
        let claimed = pool.claim(known.container_id, &uuids);
        let devices = pool.of(known.container_id);
        let ill =
            devices.iter().find_map(|device| Some(format!("{device}: {}", pool.illness(&device.uuid)?)));
        drop(pool);
        let lost = |why| IsolationError(format!("the container's GPU is lost: {why}"));
        claimed.map_err(|error| lost(error.to_string()))?;
        ill.map_or(Ok(()), |ill| Err(lost(ill)))?;
        // What it began with is still open to it; the last change may have been cut off.
        match self.shared.changed(known.container_id).exists() {
            true => self.shared.open(known.container_id, &devices),
            false => Ok(()),
        }
    }

    fn update(&self, container_id: &ContainerId, resources: &Resources) -> Result<(), IsolationError> {
        let count = count(resources)?;
        let mut pool = self.shared.pool();
        if pool.of(container_id).len() == count {
            return Ok(());
        }
        let devices = pool.assign(container_id, count).map_err(|error| IsolationError(error.to_string()))?;
        let failed = |error| IsolationError(format!("can't keep which GPUs the container owns: {error}"));
        self.shared.keep(container_id, &devices).map_err(failed)?;
        let uuids: Vec<&str> = devices.iter().map(|device| device.uuid.as_str()).collect();
        tracing::info!(%container_id, gpus = uuids.join(","), "a container owns other GPUs now");
        let opened = self.shared.open(container_id, &devices);
        // Nobody gets what it has given back before it is closed to it.
        drop(pool);
        opened
    }

    fn broken(&self, container_id: &ContainerId) -> Option<Limitation> {
        self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner).get(container_id).cloned()
    }

    fn usage(&self, container_id: &ContainerId, usage: &mut Usage) {
        let devices = self.shared.pool().of(container_id);
        let Some(driver) = self.shared.settings.driver.as_ref().filter(|_| !devices.is_empty()) else {
            return;
        };
        match driver.usage(devices.into_iter().map(|device| device.uuid).collect()) {
            Ok(gpus) => usage.gpus = gpus,
            Err(error) => tracing::debug!(%container_id, "what its GPUs do is not known: {error}"),
        }
    }

    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        self.shared.pool().release(container_id);
        self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner).remove(container_id);
        match fs::remove_file(self.shared.changed(container_id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(IsolationError(format!("can't forget which GPUs the container owned: {error}")))
            }
            _ => Ok(()),
        }
    }
}
