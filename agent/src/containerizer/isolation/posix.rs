//! `posix/cpu` and `posix/mem`: containers are held to nothing. What they use is summed over their processes, as it is for
//! every container whose kernel does not count it.

use std::sync::Arc;

use protocol::ContainerId;
use serde_json::Value;

use super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings};

/// Either of them.
pub struct PosixIsolator(&'static str);

impl PosixIsolator {
    /// `posix/cpu`.
    ///
    /// # Errors
    /// None.
    pub fn cpu(_around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        Ok(Arc::new(Self("posix/cpu")))
    }

    /// `posix/mem`.
    ///
    /// # Errors
    /// None.
    pub fn memory(_around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        Ok(Arc::new(Self("posix/mem")))
    }
}

impl Isolator for PosixIsolator {
    fn name(&self) -> &'static str {
        self.0
    }

    fn prepare(&self, _container: &Container<'_>, _plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        Ok(Value::Null)
    }

    fn recover(&self, _known: &Known<'_>) -> Result<(), IsolationError> {
        Ok(())
    }

    fn cleanup(&self, _container_id: &ContainerId) -> Result<(), IsolationError> {
        Ok(())
    }
}
