//! `linux/capabilities` and `linux/nnp`: what processes of a container may do beyond what their user may.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use protocol::ContainerId;
use protocol::wire::v1::CapabilityInfo;
use protocol::wire::v1::capability_info::Capability;
use serde_json::Value;

use super::plan::Capabilities;
use super::{Container, IsolationError, Isolator, Known, LaunchPlan, Surroundings};

/// What the enum's numbers are above the kernel's. Source: Mesos.
const BASE: i32 = 1000;

/// A set of capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet(BTreeSet<Capability>);

/// What is no set of capabilities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no capability; write names as NET_RAW, separated by commas, or Mesos's JSON of a CapabilityInfo"
)]
pub struct UnknownCapability(String);

impl FromStr for CapabilitySet {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = |text: &str| UnknownCapability(text.to_owned());
        let names: Vec<String> = match text.trim().starts_with('{') {
            true => {
                let json: Value = serde_json::from_str(text).map_err(|_| unknown(text))?;
                let listed =
                    json.get("capabilities").and_then(Value::as_array).ok_or_else(|| unknown(text))?;
                listed.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
            }
            false => {
                text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
            }
        };
        let one = |name: &String| {
            let upper = name.to_uppercase();
            Capability::from_str_name(upper.strip_prefix("CAP_").unwrap_or(&upper))
                .filter(|found| *found != Capability::Unknown)
                .ok_or_else(|| unknown(name))
        };
        names.iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

impl CapabilitySet {
    fn of(info: &CapabilityInfo) -> Self {
        Self(info.capabilities().filter(|one| *one != Capability::Unknown).collect())
    }

    /// By the kernel's numbers.
    fn numbers(&self) -> Vec<u8> {
        self.0.iter().filter_map(|one| u8::try_from(*one as i32 - BASE).ok()).collect()
    }

    /// The first that is not in another set.
    fn beyond(&self, other: &Self) -> Option<&'static str> {
        self.0.difference(&other.0).next().map(Capability::as_str_name)
    }
}

/// Settings of `linux/capabilities`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySettings {
    /// `--effective_capabilities`: what containers have that don't ask.
    pub effective: Option<CapabilitySet>,
    /// `--bounding_capabilities`: what no container can go beyond.
    pub bounding: Option<CapabilitySet>,
}

/// `linux/capabilities`.
pub struct CapabilitiesIsolator {
    settings: CapabilitySettings,
    /// What the agent itself can have.
    own: CapabilitySet,
}

impl CapabilitiesIsolator {
    /// Makes it.
    ///
    /// # Errors
    /// The agent can't hand on capabilities, or the flags contradict one another.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        let settings = around.settings.capabilities.clone();
        let own =
            own_capabilities().ok_or("what the agent itself may do can't be read in /proc/self/status")?;
        if !own.0.contains(&Capability::Setpcap) {
            return Err(
                "the agent has no CAP_SETPCAP, so it can't take capabilities from containers".to_owned()
            );
        }
        if let (Some(effective), Some(bounding)) = (&settings.effective, &settings.bounding)
            && let Some(name) = effective.beyond(bounding)
        {
            return Err(format!("--effective_capabilities has {name}, --bounding_capabilities has not"));
        }
        Ok(Arc::new(Self { settings, own }))
    }

    /// The effective set, unless it is left to the user, and the bounding set.
    fn sets(
        &self,
        container: &Container<'_>,
    ) -> Result<Option<(Option<CapabilitySet>, CapabilitySet)>, IsolationError> {
        let asked = container.asked().linux_info.unwrap_or_default();
        let effective = asked.effective_capabilities.as_ref().or(asked.capability_info.as_ref());
        let bounding = asked.bounding_capabilities.as_ref().map(CapabilitySet::of);
        if let (Some(bounding), Some(allowed)) = (&bounding, &self.settings.bounding)
            && let Some(name) = bounding.beyond(allowed)
        {
            return refused(name, "--bounding_capabilities of this agent does not allow it");
        }
        let effective = effective.map(CapabilitySet::of).or_else(|| self.settings.effective.clone());
        let bounding = bounding.or_else(|| self.settings.bounding.clone()).or_else(|| effective.clone());
        let Some(bounding) = bounding else { return Ok(None) };
        if let Some(name) = effective.as_ref().and_then(|effective| effective.beyond(&bounding)) {
            return refused(name, "it is beyond the bounding set");
        }
        if let Some(name) = effective.as_ref().and_then(|effective| effective.beyond(&self.own)) {
            return refused(name, "the agent itself does not have it");
        }
        Ok(Some((effective, bounding)))
    }
}

fn refused<T>(name: &str, why: &str) -> Result<T, IsolationError> {
    Err(IsolationError(format!("the container can't have the capability {name}: {why}")))
}

fn own_capabilities() -> Option<CapabilitySet> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    let held = (0..64).filter(|bit| mask & (1 << bit) != 0);
    Some(CapabilitySet(held.filter_map(|bit| Capability::try_from(BASE + bit).ok()).collect()))
}

impl Isolator for CapabilitiesIsolator {
    fn name(&self) -> &'static str {
        "linux/capabilities"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        plan.capabilities = self.sets(container)?.map(|(effective, bounding)| Capabilities {
            effective: effective.map(|set| set.numbers()),
            bounding: bounding.numbers(),
        });
        Ok(Value::Null)
    }

    fn recover(&self, _known: &Known<'_>) -> Result<(), IsolationError> {
        Ok(())
    }

    fn cleanup(&self, _container_id: &ContainerId) -> Result<(), IsolationError> {
        Ok(())
    }
}

/// `linux/nnp`: no program that a container executes brings privileges with it.
pub struct NoNewPrivileges;

impl NoNewPrivileges {
    /// Makes it.
    ///
    /// # Errors
    /// None.
    pub fn make(_around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        Ok(Arc::new(Self))
    }
}

impl Isolator for NoNewPrivileges {
    fn name(&self) -> &'static str {
        "linux/nnp"
    }

    fn prepare(&self, _container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        plan.no_new_privileges = true;
        Ok(Value::Null)
    }

    fn recover(&self, _known: &Known<'_>) -> Result<(), IsolationError> {
        Ok(())
    }

    fn cleanup(&self, _container_id: &ContainerId) -> Result<(), IsolationError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_as_names_and_as_json() {
        let both = CapabilitySet(BTreeSet::from([Capability::Chown, Capability::NetRaw]));
        for text in ["NET_RAW,CHOWN", " cap_chown , CAP_NET_RAW", r#"{"capabilities": ["NET_RAW", "CHOWN"]}"#]
        {
            assert_eq!(text.parse(), Ok(both.clone()), "{text}");
        }
        assert_eq!(both.numbers(), [0, 13]);
        assert_eq!("".parse(), Ok(CapabilitySet::default()));
        for text in ["NET_RAWER", "UNKNOWN", "{", r#"{"capabilities": [3]}"#] {
            assert!(text.parse::<CapabilitySet>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_beyond_a_set_is_named() {
        let [one, two]: [CapabilitySet; 2] = ["CHOWN", "CHOWN,KILL"].map(|text| text.parse().unwrap());
        assert_eq!((one.beyond(&two), two.beyond(&one)), (None, Some("KILL")));
    }
}
