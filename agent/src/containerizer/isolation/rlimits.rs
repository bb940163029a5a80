//! `posix/rlimits`: the limits of processes that a container asks for.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::ContainerId;
use protocol::wire::v1::r_limit_info::r_limit::Type;
use serde_json::Value;

use super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings};

/// It.
pub struct RlimitsIsolator;

impl RlimitsIsolator {
    /// Makes it.
    ///
    /// # Errors
    /// None.
    pub fn make(_around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        Ok(Arc::new(Self))
    }
}

/// The kernel's number of a limit.
fn number(kind: Type) -> Option<u32> {
    Some(match kind {
        Type::Unknown => return None,
        Type::RlmtCpu => 0,
        Type::RlmtFsize => 1,
        Type::RlmtData => 2,
        Type::RlmtStack => 3,
        Type::RlmtCore => 4,
        Type::RlmtRss => 5,
        Type::RlmtNproc => 6,
        Type::RlmtNofile => 7,
        Type::RlmtMemlock => 8,
        Type::RlmtAs => 9,
        Type::RlmtLocks => 10,
        Type::RlmtSigpending => 11,
        Type::RlmtMsgqueue => 12,
        Type::RlmtNice => 13,
        Type::RlmtRtprio => 14,
        Type::RlmtRttime => 15,
    })
}

impl Isolator for RlimitsIsolator {
    fn name(&self) -> &'static str {
        "posix/rlimits"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let asked = container.asked().rlimit_info.unwrap_or_default();
        let mut seen = BTreeSet::new();
        for limit in &asked.rlimits {
            let name = limit.r#type().as_str_name();
            let wrong = |why: &str| Err(IsolationError(format!("the limit {name} of the container: {why}")));
            let Some(number) = number(limit.r#type()) else { return wrong("there is no such limit") };
            if !seen.insert(number) {
                return wrong("it is there twice");
            }
            match (limit.soft, limit.hard) {
                (Some(soft), Some(hard)) if soft > hard => return wrong("'soft' is above 'hard'"),
                (Some(_), None) | (None, Some(_)) => {
                    return wrong("either both of 'soft' and 'hard' are set, or none, which means infinite");
                }
                (soft, hard) => plan.rlimits.push((number, soft, hard)),
            }
        }
        Ok(Value::Null)
    }

    fn recover(&self, _known: &Known<'_>) -> Result<(), IsolationError> {
        Ok(())
    }

    fn cleanup(&self, _container_id: &ContainerId) -> Result<(), IsolationError> {
        Ok(())
    }
}
