//! What the master counts, on its node, under the names of Mesos: dashboards know them, the old word `slave` included.

use std::collections::BTreeMap;
use std::time::Duration;

use libactor::{Counter, Metrics, Time};

use crate::core::Master;

/// Up to so many agents and frameworks the gauges are set after every turn; with more of them, once a second. Ours.
const SET_ALWAYS: usize = 64;
const SECOND: Duration = Duration::from_secs(1);
const AMOUNTS: [&str; 4] = ["cpus", "mem", "disk", "gpus"];

/// The master's metrics on its node.
pub(crate) struct MasterMetrics {
    node: Metrics,
    counters: BTreeMap<&'static str, (Counter, u64)>,
    ends: BTreeMap<String, (Counter, u64)>,
    set_at: Option<Time>,
}

impl MasterMetrics {
    pub(crate) fn new(node: &Metrics) -> Self {
        Self { node: node.clone(), counters: BTreeMap::new(), ends: BTreeMap::new(), set_at: None }
    }

    /// Shows what the machine has come to.
    pub(crate) fn update(&mut self, master: &Master, now: Time) {
        for (name, value) in master.counters().named() {
            let node = &self.node;
            let shown =
                self.counters.entry(name).or_insert_with(|| (node.counter(&format!("master/{name}")), 0));
            shown.0.add(value - shown.1);
            shown.1 = value;
        }
        let few = master.agents().len() + master.frameworks().len() <= SET_ALWAYS;
        let recently = self.set_at.is_some_and(|before| now.since(before) < SECOND);
        if few || !recently {
            self.set_at = Some(now);
            self.set_gauges(master, now);
        }
    }

    fn set_gauges(&mut self, master: &Master, now: Time) {
        for (state, source, reason, value) in master.counters().ends() {
            let state = state.name().to_ascii_lowercase();
            let source = format!("{source:?}").to_ascii_lowercase().replace("agent", "slave");
            let reason = reason.map(|reason| reason.name().to_ascii_lowercase());
            let reason =
                reason.map_or(String::new(), |reason| format!("/{}", reason.replace("agent", "slave")));
            let name = format!("master/{state}/source_{source}{reason}");
            let shown = self.ends.entry(name).or_insert_with_key(|name| (self.node.counter(name), 0));
            shown.0.add(value - shown.1);
            shown.1 = value;
        }
        let set = |name: &str, value: f64| self.node.gauge(&format!("master/{name}")).set(value);
        for (name, value) in master.gauges() {
            set(name, value as f64);
        }
        set("uptime_secs", now.since(master.started_at()).as_secs_f64());
        for name in AMOUNTS {
            let (total, used) = master.amounts(name);
            let (total, used) = (total.as_f64(), used.as_f64());
            let percent = if total > 0.0 { used / total } else { 0.0 };
            for (kind, value) in [("total", total), ("used", used), ("percent", percent)] {
                set(&format!("{name}_{kind}"), value);
            }
        }
    }
}
