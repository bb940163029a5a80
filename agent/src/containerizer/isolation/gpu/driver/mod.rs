//! The door to the driver's library, NVML: one thread asks it, others get plain data.
//!
//! The library is loaded when the agent runs, and any function may be missing in it. Calls can hang with the hardware: who
//! asks waits for a time and no longer.

mod ask;
mod raw;
mod watch;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use nvml_wrapper::Nvml;

use super::device::Inventory;

pub use ask::{GpuUsage, Vitals};
pub use watch::{Event, EventKind};

/// Where the library is unless it is said.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// How long the library may take to begin. Ours: without persistence mode each GPU takes seconds.
const BEGINNING: Duration = Duration::from_secs(60);
/// How long it may take to answer. Ours.
const ANSWER: Duration = Duration::from_secs(5);
/// Most questions that wait. Ours: each who asks waits for its answer.
const MAX_WAITING: usize = 64;

/// Why the driver does not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// There is no library, or it can't begin: most machines.
    #[error("{library}: {why}")]
    Absent {
        /// Which.
        library: String,
        /// What it says.
        why: String,
    },
    /// It does not answer.
    #[error("NVIDIA's driver does not answer within {} seconds: see the kernel's log for NVRM", .0.as_secs())]
    Silent(Duration),
    /// It refuses.
    #[error("NVIDIA's driver: {0}")]
    Refused(String),
}

type Question = Box<dyn FnOnce(&Nvml) + Send>;

/// Asks the driver's library. Clones ask the same one; with the last of them it is let go of.
#[derive(Clone)]
pub struct Driver {
    questions: SyncSender<Question>,
    library: Arc<Library>,
}

/// The library. It is told that it is not needed any more where it can be told; else it stays.
struct Library(Option<Nvml>);

impl Library {
    fn nvml(&self) -> &Nvml {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        if let Some(nvml) = self.0.take() {
            // The wrapper calls the function without asking whether it is there.
            match nvml.lib().nvmlShutdown.is_ok() {
                true => drop(nvml),
                false => std::mem::forget(nvml),
            }
        }
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Driver")
    }
}

impl Driver {
    /// Loads the library, from this path or from where the system has it, and begins with it.
    ///
    /// # Errors
    /// It is not there, or there is no driver for it to speak with.
    pub fn open(library: Option<&Path>) -> Result<Self, DriverError> {
        let path: OsString = library.map_or_else(|| OsStr::new(LIBRARY).to_owned(), |path| path.into());
        let name = path.to_string_lossy().into_owned();
        let absent = |why: String| DriverError::Absent { library: name.clone(), why };
        let (answer, answered) = sync_channel(1);
        let (questions, asked) = sync_channel::<Question>(MAX_WAITING);
        let thread =
            thread::Builder::new().name("gpu-driver".into()).spawn(move || begin(&path, &answer, &asked));
        thread.map_err(|error| absent(error.to_string()))?;
        match answered.recv_timeout(BEGINNING) {
            Ok(Ok(library)) => Ok(Self { questions, library }),
            Ok(Err(why)) => Err(absent(why)),
            Err(RecvTimeoutError::Timeout) => Err(DriverError::Silent(BEGINNING)),
            Err(RecvTimeoutError::Disconnected) => Err(absent("its thread has ended".into())),
        }
    }

    /// All that it knows of.
    ///
    /// # Errors
    /// It does not answer, or can't even count.
    pub fn inventory(&self) -> Result<Inventory, DriverError> {
        self.ask(ask::inventory)?.map_err(|error| DriverError::Refused(error.to_string()))
    }

    /// How these GPUs are, by their UUIDs, in that order.
    ///
    /// # Errors
    /// It does not answer.
    pub fn vitals(&self, gpus: Vec<String>) -> Result<Vec<Vitals>, DriverError> {
        self.ask(move |nvml| gpus.iter().map(|uuid| ask::vitals(nvml, uuid)).collect())
    }

    /// How much these devices are used, by their UUIDs: those that tell.
    ///
    /// # Errors
    /// It does not answer.
    pub fn usage(&self, devices: Vec<String>) -> Result<Vec<GpuUsage>, DriverError> {
        self.ask(move |nvml| devices.iter().filter_map(|uuid| ask::usage(nvml, uuid)).collect())
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Nvml) -> T + Send + 'static,
    ) -> Result<T, DriverError> {
        let (answer, answered) = sync_channel(1);
        let question = Box::new(move |nvml: &Nvml| {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(question(nvml));
        });
        self.questions.try_send(question).map_err(|_| DriverError::Silent(ANSWER))?;
        answered.recv_timeout(ANSWER).map_err(|_| DriverError::Silent(ANSWER))
    }
}

fn begin(path: &OsStr, answer: &SyncSender<Result<Arc<Library>, String>>, asked: &Receiver<Question>) {
    let library = match Nvml::builder().lib_path(path).init() {
        Ok(nvml) => Arc::new(Library(Some(nvml))),
        Err(error) => {
            let _ = answer.send(Err(error.to_string()));
            return;
        }
    };
    if answer.send(Ok(library.clone())).is_err() {
        return;
    }
    while let Ok(question) = asked.recv() {
        question(library.nvml());
    }
}
