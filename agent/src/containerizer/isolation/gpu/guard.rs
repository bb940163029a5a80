//! Watches over the GPUs on a thread of its own: by the driver's events where it has them, and by asking.

use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use libactor::{Clock, Time};
use protocol::ContainerId;

use super::device::Device;
use super::driver::{Driver, Event};
use super::health::{Charts, Verdict};
use super::isolator::Shared;

/// Begins. With the end of what is returned the guard ends.
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<SyncSender<()>> {
    let (stop, stopped) = sync_channel(0);
    // Those that are gone are taken back as soon as it runs.
    let offered = shared.pool().all().len();
    let guard = Guard {
        offered,
        gpus: gpus(shared),
        charts: Charts::default(),
        poll: shared.settings.poll,
        due: Time::default(),
        clock: Clock::real(),
        shared: Arc::downgrade(shared),
        driver: shared.settings.driver.clone(),
        stopped,
        anew: false,
    };
    thread::Builder::new().name("gpu-guard".into()).spawn(move || guard.run())?;
    Ok(stop)
}

/// The UUIDs of all GPUs that are looked after.
fn gpus(shared: &Shared) -> Vec<String> {
    let mut gpus: Vec<String> =
        shared.pool().all().iter().map(|device| device.gpu_uuid().to_owned()).collect();
    gpus.sort_unstable();
    gpus.dedup();
    gpus
}

struct Guard {
    shared: Weak<Shared>,
    /// Absent: there was one in an earlier life.
    driver: Option<Driver>,
    stopped: Receiver<()>,
    gpus: Vec<String>,
    charts: Charts,
    poll: Duration,
    clock: Clock,
    /// When the GPUs are asked again.
    due: Time,
    /// How many were offered last.
    offered: usize,
    /// Whether events must be asked for again: of one that was made anew the driver tells nothing unasked.
    anew: bool,
}

impl Guard {
    fn run(mut self) {
        // Counts begin before the first event.
        if self.step(None).is_break() {
            return;
        }
        let mut said = false;
        loop {
            let Some(driver) = self.driver.clone() else { return };
            let gpus = self.gpus.clone();
            let guard = std::cell::RefCell::new(&mut self);
            let watched = driver.watch(
                &gpus,
                || guard.borrow().pause(),
                |event| {
                    let mut guard = guard.borrow_mut();
                    guard.step(event)?;
                    if std::mem::take(&mut guard.anew) {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                },
            );
            if let Err(error) = &watched
                && !std::mem::replace(&mut said, true)
            {
                tracing::info!(
                    "the driver does not tell of events ({error}): GPUs are asked every {:?}",
                    self.poll
                );
            }
            // What it watches over is not the same any more.
            let at_once = watched.is_ok();
            let pause = if at_once { Duration::ZERO } else { self.pause() };
            match self.stopped.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.step(None).is_break() {
                return;
            }
        }
    }

    /// How long until the GPUs are asked again.
    fn pause(&self) -> Duration {
        self.due.since(self.clock.now())
    }

    /// One event, and what is due.
    fn step(&mut self, event: Option<Event>) -> ControlFlow<()> {
        let Some(shared) = self.shared.upgrade() else { return ControlFlow::Break(()) };
        if self.stopped.try_recv() == Err(TryRecvError::Disconnected) {
            return ControlFlow::Break(());
        }
        if let Some(event) = event {
            tracing::debug!(?event, "the driver tells of an event");
            let verdict = self.charts.event(event);
            self.carry_out(&shared, verdict);
        }
        if self.pause().is_zero() {
            self.ask(&shared);
            self.due = self.clock.now() + self.poll;
        }
        let well = shared.pool().well();
        if well != std::mem::replace(&mut self.offered, well) {
            tracing::warn!(gpus = well, "other GPUs are offered from now on");
            shared.offer(shared.settings.offering(well));
        }
        ControlFlow::Continue(())
    }

    fn ask(&mut self, shared: &Shared) {
        let Some(driver) = &self.driver else { return };
        match driver.vitals(self.gpus.clone()) {
            Ok(all) => {
                for (gpu, vitals) in self.gpus.clone().into_iter().zip(all) {
                    if let Some(verdict) = self.charts.vitals(&gpu, vitals) {
                        self.carry_out(shared, verdict);
                    }
                }
            }
            Err(error) => tracing::warn!("how the GPUs are is not known: {error}"),
        }
    }

    fn carry_out(&mut self, shared: &Shared, verdict: Verdict) {
        match verdict {
            Verdict::Program { gpu, what } => {
                let gpu = gpu.unwrap_or_default();
                tracing::info!(gpu, "a program on a GPU has failed, the GPU is well: {what}");
            }
            Verdict::Ill { gpu, gpu_instance, problem } => {
                let is_part =
                    |device: &Device| device.mig.as_ref().map(|part| part.gpu_instance) == gpu_instance;
                let all = shared.pool().all().to_vec();
                let of_gpu =
                    all.iter().filter(|device| gpu.as_ref().is_none_or(|gpu| device.gpu_uuid() == gpu));
                for device in of_gpu.filter(|device| gpu_instance.is_none() || is_part(device)) {
                    fell_ill(shared, device, &problem);
                }
            }
            Verdict::Well { gpu } => {
                self.anew = true;
                // Instances of an earlier division do not come back.
                let there =
                    self.driver.as_ref().and_then(|driver| driver.inventory().ok()).unwrap_or_default();
                let there = there.devices(|device| device.gpu_uuid() == gpu).all;
                let mut pool = shared.pool();
                for device in there {
                    if pool.healed(&device.uuid) {
                        tracing::info!("{device} is well again");
                    }
                }
            }
            Verdict::LookAgain => self.look_again(shared),
        }
    }

    /// GPUs have been divided anew.
    fn look_again(&mut self, shared: &Shared) {
        let Some(driver) = &self.driver else { return };
        let inventory = match driver.inventory() {
            Ok(inventory) => inventory,
            Err(error) => {
                tracing::warn!("GPUs were divided anew; what there is now is not known: {error}");
                return;
            }
        };
        let devices = inventory.devices(|device| shared.settings.wanted.takes(device));
        let known: Vec<String> = devices.all.iter().map(ToString::to_string).collect();
        tracing::warn!("GPUs were divided anew; there are now: {}", known.join(", "));
        let gone = shared.pool().replace(devices);
        for (device, owner) in gone {
            if let Some(container_id) = owner {
                let message = format!("{device} is not there any more: its GPU was divided anew (MIG)");
                shared.end(container_id, message);
            }
        }
        self.gpus = gpus(shared);
        self.anew = true;
    }
}

fn fell_ill(shared: &Shared, device: &Device, problem: &str) {
    let mut pool = shared.pool();
    if pool.illness(&device.uuid).is_some() {
        return;
    }
    let owner = pool.fell_ill(&device.uuid, problem);
    drop(pool);
    tracing::error!(
        owner = owner.as_ref().map(ContainerId::as_str),
        "{device} fell ill and is not offered: {problem}"
    );
    if let Some(container_id) = owner {
        shared.end(container_id, format!("{device}, which the container owns, fell ill: {problem}"));
    }
}
