//! What the master counts, on its node, under the names of Mesos: dashboards know them, the old word `slave` included.

use std::collections::BTreeMap;
use std::time::Duration;

use libactor::{Counter, Gauge, Metrics, Time};
use protocol::{Reason, Source, TaskState};

use super::framework_metrics::FrameworkMetrics;
use super::mirror::Mirror;
use super::mirror::totals::{AMOUNTS, Totals};
use crate::core::{Change, Master};

/// Up to so many agents and frameworks the numbers are set after every turn; with more of them, once a second. Ours.
const SET_ALWAYS: usize = 64;
const SECOND: Duration = Duration::from_secs(1);

/// Numbers that go up and down, without the `master/` before them.
const COUNTS: [&str; 16] = [
    "elected",
    "frameworks_active",
    "frameworks_connected",
    "frameworks_disconnected",
    "frameworks_inactive",
    "outstanding_offers",
    "slaves_active",
    "slaves_connected",
    "slaves_disconnected",
    "slaves_inactive",
    "slaves_unreachable",
    "tasks_killing",
    "tasks_running",
    "tasks_staging",
    "tasks_starting",
    "tasks_unreachable",
];

/// How a task has ended.
type End = (TaskState, Source, Option<Reason>);

/// The master's metrics on its node: of the machine that leads, and zeros where none does.
pub(crate) struct MasterMetrics {
    node: Metrics,
    started_at: Time,
    counters: BTreeMap<&'static str, (Counter, u64)>,
    ends: BTreeMap<End, (Counter, u64)>,
    /// Of [`COUNTS`].
    counts: Vec<Gauge>,
    uptime: Gauge,
    /// Of [`AMOUNTS`]: total, used, percent; of what can't be taken back, and of what can.
    amounts: [Vec<[Gauge; 3]>; 2],
    /// Of [`AMOUNTS`]: what the allocator has, and what of it is given out.
    allocator: Vec<[Gauge; 2]>,
    frameworks: FrameworkMetrics,
    set_at: Option<Time>,
}

impl MasterMetrics {
    /// Of a program that began at that time.
    pub(crate) fn new(node: &Metrics, started_at: Time) -> Self {
        let gauge = |name: String| node.gauge(&name);
        let amounts = ["", "_revocable"].map(|suffix| {
            let of = |name: &str| {
                ["total", "used", "percent"].map(|kind| gauge(format!("master/{name}{suffix}_{kind}")))
            };
            AMOUNTS.into_iter().map(of).collect()
        });
        let given = |name: &str| {
            ["total", "offered_or_allocated"]
                .map(|kind| gauge(format!("allocator/mesos/resources/{name}/{kind}")))
        };
        Self {
            node: node.clone(),
            started_at,
            counters: BTreeMap::new(),
            ends: BTreeMap::new(),
            counts: COUNTS.into_iter().map(|name| gauge(format!("master/{name}"))).collect(),
            uptime: gauge("master/uptime_secs".to_owned()),
            amounts,
            allocator: AMOUNTS.into_iter().map(given).collect(),
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

    /// The machine leads no more: another one may follow, and counts from nothing.
    pub(crate) fn reset(&mut self) {
        self.counters.values_mut().chain(self.ends.values_mut()).for_each(|shown| shown.1 = 0);
        let amounts = self.amounts.iter().flatten().flatten();
        let gauges = self.counts.iter().chain(amounts).chain(self.allocator.iter().flatten());
        gauges.for_each(|gauge| gauge.set(0.0));
        self.frameworks.forget_all();
        self.set_at = None;
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
        for (state, source, reason, value) in master.counters().ends() {
            let node = &self.node;
            let end = (state, source, reason);
            let shown = self.ends.entry(end).or_insert_with(|| (node.counter(&name_of(end)), 0));
            shown.0.add(value - shown.1);
            shown.1 = value;
        }
        self.uptime.set(now.since(self.started_at).as_secs_f64());
        self.set_gauges(master, mirror.totals(master));
        self.frameworks.update(master);
    }

    fn set_gauges(&self, master: &Master, totals: &Totals) {
        let live = |state| master.counters().live(state) as usize;
        let away = master.frameworks().len().saturating_sub(totals.connected_frameworks);
        let agents = master.agents().len();
        let counts: [usize; COUNTS.len()] = [
            1,
            totals.connected_frameworks,
            totals.connected_frameworks,
            away,
            away,
            master.offers().len(),
            totals.active_agents,
            totals.connected_agents,
            agents.saturating_sub(totals.connected_agents),
            agents.saturating_sub(totals.active_agents),
            master.unreachable_agent_count(),
            live(TaskState::Killing),
            live(TaskState::Running),
            live(TaskState::Staging),
            live(TaskState::Starting),
            totals.unreachable_tasks,
        ];
        self.counts.iter().zip(counts).for_each(|(gauge, value)| gauge.set(value as f64));
        let units = |millis: u64| millis as f64 / 1000.0;
        for (revocable, gauges) in self.amounts.iter().enumerate() {
            for (index, [total, used, percent]) in gauges.iter().enumerate() {
                let (all, taken) =
                    (units(totals.total[revocable][index]), units(totals.used[revocable][index]));
                total.set(all);
                used.set(taken);
                percent.set(if all > 0.0 { taken / all } else { 0.0 });
            }
        }
        for (index, [total, given]) in self.allocator.iter().enumerate() {
            let sum = |sums: &[[u64; AMOUNTS.len()]; 2]| units(sums[0][index] + sums[1][index]);
            total.set(sum(&totals.total));
            given.set(sum(&totals.used) + sum(&totals.offered));
        }
    }
}

fn name_of((state, source, reason): End) -> String {
    let state = state.name().to_ascii_lowercase();
    let source = format!("{source:?}").to_ascii_lowercase().replace("agent", "slave");
    let reason = reason.map(|reason| reason.name().to_ascii_lowercase());
    let reason = reason.map_or(String::new(), |reason| format!("/{}", reason.replace("agent", "slave")));
    format!("master/{state}/source_{source}{reason}")
}
