//! What is counted of each framework, under `master/frameworks/<name>/<id>/`.

use std::collections::BTreeMap;
use std::fmt::Write;

use libactor::{Gauge, Metrics};
use protocol::{FrameworkId, Role};

use crate::core::Master;
use crate::core::framework_counters::FrameworkCounters;
use crate::core::frameworks::Framework;

/// Frameworks that are shown; of more, the oldest. Ours: each has some sixty names, which a node has a bound for.
const MAX_SHOWN: usize = 500;

/// The metrics of frameworks on a node.
pub(crate) struct FrameworkMetrics {
    node: Metrics,
    shown: BTreeMap<FrameworkId, Shown>,
}

/// A framework that is shown.
struct Shown {
    /// `master/frameworks/<name>/<id>/`.
    prefix: String,
    /// As last shown.
    counters: Option<FrameworkCounters>,
    gauges: BTreeMap<&'static str, Gauge>,
    subscribed: Gauge,
    unreachable: Gauge,
    /// Whether it wants offers for each of its roles.
    roles: BTreeMap<Role, Gauge>,
}

impl FrameworkMetrics {
    pub(crate) fn new(node: &Metrics) -> Self {
        Self { node: node.clone(), shown: BTreeMap::new() }
    }

    /// Shows what was counted.
    pub(crate) fn update(&mut self, master: &Master) {
        for framework in master.frameworks().values().chain(master.completed_frameworks()) {
            let room = self.shown.len() < MAX_SHOWN;
            if let Some(shown) = self.shown.get_mut(&framework.id) {
                shown.update(&self.node, framework);
            } else if room {
                let mut shown = Shown::new(&self.node, framework);
                shown.update(&self.node, framework);
                self.shown.insert(framework.id.clone(), shown);
            }
        }
    }

    /// The framework is not known any more.
    pub(crate) fn forget(&mut self, id: &FrameworkId) {
        if let Some(shown) = self.shown.remove(id) {
            shown.remove(&self.node);
        }
    }

    /// No framework is known any more.
    pub(crate) fn forget_all(&mut self) {
        std::mem::take(&mut self.shown).into_values().for_each(|shown| shown.remove(&self.node));
    }
}

/// Tasks on agents that do not answer: the machine keeps them apart.
const UNREACHABLE: &str = "tasks/active/task_unreachable";

fn role_name(role: &Role) -> String {
    format!("roles/{}/suppressed", encoded(role.as_str()))
}

impl Shown {
    fn new(node: &Metrics, framework: &Framework) -> Self {
        let prefix = format!(
            "master/frameworks/{}/{}/",
            encoded(&framework.info.name),
            encoded(framework.id.as_str())
        );
        Self {
            subscribed: node.gauge(&format!("{prefix}subscribed")),
            unreachable: node.gauge(&format!("{prefix}{UNREACHABLE}")),
            counters: None,
            gauges: BTreeMap::new(),
            roles: BTreeMap::new(),
            prefix,
        }
    }

    fn remove(self, node: &Metrics) {
        let roles = self.roles.keys().map(role_name);
        let all = self.gauges.keys().map(|name| (*name).to_owned());
        let own = ["subscribed", UNREACHABLE].map(str::to_owned);
        all.chain(own).chain(roles).for_each(|name| node.remove(&format!("{}{name}", self.prefix)));
    }

    fn update(&mut self, node: &Metrics, framework: &Framework) {
        self.subscribed.set(if framework.pid.is_some() { 1.0 } else { 0.0 });
        self.unreachable.set(framework.unreachable.len() as f64);
        if self.counters.as_ref() != Some(&framework.counters) {
            for (name, value) in framework.counters.named() {
                let prefix = &self.prefix;
                let gauge = self.gauges.entry(name).or_insert_with(|| node.gauge(&format!("{prefix}{name}")));
                gauge.set(value as f64);
            }
            self.counters = Some(framework.counters.clone());
        }
        self.update_roles(node, framework);
    }

    fn update_roles(&mut self, node: &Metrics, framework: &Framework) {
        let prefix = &self.prefix;
        self.roles.retain(|role, _| {
            let stays = framework.info.roles.contains(role);
            if !stays {
                node.remove(&format!("{prefix}{}", role_name(role)));
            }
            stays
        });
        for role in &framework.info.roles {
            let suppressed = framework.suppressed.contains(role);
            if !self.roles.contains_key(role) {
                let gauge = node.gauge(&format!("{prefix}{}", role_name(role)));
                self.roles.insert(role.clone(), gauge);
            }
            if let Some(gauge) = self.roles.get(role) {
                gauge.set(if suppressed { 1.0 } else { 0.0 });
            }
        }
    }
}

/// With all but letters, digits and `-_.~` as percent-escapes.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(encoded("a b/c*é"), "a%20b%2Fc%2A%C3%A9");
        assert_eq!(role_name(&"eng/web".into()), "roles/eng%2Fweb/suppressed");
    }
}
