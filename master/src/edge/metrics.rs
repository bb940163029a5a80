//! What the master counts, on its node, under the names of Mesos: dashboards know them, the old word `slave` included.

use std::collections::BTreeMap;
use std::time::Duration;

use libactor::{Counter, Gauge, Metrics, Time};

use super::framework_metrics::FrameworkMetrics;
use super::mirror::Mirror;
use super::mirror::totals::AMOUNTS;
use crate::core::{Change, Master};
use protocol::TaskState;

/// Up to so many agents and frameworks the numbers are set after every turn; with more of them, once a second. Ours.
const SET_ALWAYS: usize = 64;
const SECOND: Duration = Duration::from_secs(1);

/// The master's metrics on its node.
pub(crate) struct MasterMetrics {
    node: Metrics,
    counters: BTreeMap<&'static str, (Counter, u64)>,
    ends: BTreeMap<String, (Counter, u64)>,
    gauges: BTreeMap<String, Gauge>,
    frameworks: FrameworkMetrics,
    set_at: Option<Time>,
}

impl MasterMetrics {
    pub(crate) fn new(node: &Metrics) -> Self {
        Self {
            node: node.clone(),
            counters: BTreeMap::new(),
            ends: BTreeMap::new(),
            gauges: BTreeMap::new(),
            frameworks: FrameworkMetrics::new(node),
            set_at: None,
        }
    }

    /// Notes what was forgotten: it is not shown any more.
    pub(crate) fn note(&mut self, change: &Change) {
        if let Change::FrameworkForgotten(id) = change {
            self.frameworks.forget(id);
        }
    }

    /// Shows what the machine has come to.
    pub(crate) fn update(&mut self, master: &Master, mirror: &mut Mirror, now: Time) {
        let few = master.agents().len() + master.frameworks().len() <= SET_ALWAYS;
        let recently = self.set_at.is_some_and(|before| now.since(before) < SECOND);
        if recently && !few {
            return;
        }
        self.set_at = Some(now);
        for (name, value) in master.counters().named() {
            let node = &self.node;
            let shown =
                self.counters.entry(name).or_insert_with(|| (node.counter(&format!("master/{name}")), 0));
            shown.0.add(value - shown.1);
            shown.1 = value;
        }
        self.count_ends(master);
        self.set_gauges(master, mirror, now);
        self.frameworks.update(master);
    }

    fn count_ends(&mut self, master: &Master) {
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
    }

    fn set_gauges(&mut self, master: &Master, mirror: &mut Mirror, now: Time) {
        let totals = *mirror.totals(master);
        let live = |state| master.counters().live(state) as usize;
        let (frameworks, agents) = (master.frameworks().len(), master.agents().len());
        let counts = [
            ("elected", 1),
            ("frameworks_active", totals.connected_frameworks),
            ("frameworks_connected", totals.connected_frameworks),
            ("frameworks_disconnected", frameworks.saturating_sub(totals.connected_frameworks)),
            ("frameworks_inactive", frameworks.saturating_sub(totals.connected_frameworks)),
            ("outstanding_offers", master.offers().len()),
            ("slaves_active", totals.active_agents),
            ("slaves_connected", totals.connected_agents),
            ("slaves_disconnected", agents.saturating_sub(totals.connected_agents)),
            ("slaves_inactive", agents.saturating_sub(totals.active_agents)),
            ("slaves_unreachable", master.unreachable_agent_count()),
            ("tasks_killing", live(TaskState::Killing)),
            ("tasks_running", live(TaskState::Running)),
            ("tasks_staging", live(TaskState::Staging)),
            ("tasks_starting", live(TaskState::Starting)),
            ("tasks_unreachable", totals.unreachable_tasks),
        ];
        for (name, value) in counts {
            self.set(&format!("master/{name}"), value as f64);
        }
        self.set("master/uptime_secs", now.since(master.started_at()).as_secs_f64());
        for (revocable, suffix) in ["", "_revocable"].into_iter().enumerate() {
            for (index, name) in AMOUNTS.into_iter().enumerate() {
                let units = |sums: [[u64; AMOUNTS.len()]; 2]| sums[revocable][index] as f64 / 1000.0;
                let (total, used) = (units(totals.total), units(totals.used));
                let percent = if total > 0.0 { used / total } else { 0.0 };
                for (kind, value) in [("total", total), ("used", used), ("percent", percent)] {
                    self.set(&format!("master/{name}{suffix}_{kind}"), value);
                }
            }
        }
        for (index, name) in AMOUNTS.into_iter().enumerate() {
            let sum = |sums: [[u64; AMOUNTS.len()]; 2]| (sums[0][index] + sums[1][index]) as f64 / 1000.0;
            let name = format!("allocator/mesos/resources/{name}");
            self.set(&format!("{name}/total"), sum(totals.total));
            self.set(&format!("{name}/offered_or_allocated"), sum(totals.used) + sum(totals.offered));
        }
    }

    fn set(&mut self, name: &str, value: f64) {
        match self.gauges.get(name) {
            Some(gauge) => gauge.set(value),
            None => {
                let gauge = self.node.gauge(name);
                gauge.set(value);
                self.gauges.insert(name.to_owned(), gauge);
            }
        }
    }
}
