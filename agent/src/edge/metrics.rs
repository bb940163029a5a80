//! What the agent counts, under the names of Mesos: dashboards know them, the old word `slave` included.

use libactor::{Counter, Gauge, Metrics, Time};
use protocol::TaskState;
use protocol::resources::Resources;

use crate::containerizer::usage::{Pressure, Waiting};
use crate::core::{Agent, Counters, ExecutorState, Phase};

/// Up to so many tasks are counted after every turn; more of them, once a second. Ours.
const COUNTED_ALWAYS: usize = 256;
const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
const AMOUNTS: [&str; 4] = ["cpus", "mem", "disk", "gpus"];

type Read = fn(&Counters) -> u64;

/// Counters' names, and where the machine has them.
const COUNTERS: [(&str, Read); 16] = [
    ("slave/registration_attempts", |counters| counters.registration_attempts),
    ("slave/tasks_finished", |counters| counters.tasks_finished),
    ("slave/tasks_failed", |counters| counters.tasks_failed),
    ("slave/tasks_killed", |counters| counters.tasks_killed),
    ("slave/tasks_lost", |counters| counters.tasks_lost),
    ("slave/tasks_gone", |counters| counters.tasks_gone),
    ("slave/tasks_error", |counters| counters.tasks_error),
    ("slave/executors_terminated", |counters| counters.executors_terminated),
    ("slave/container_launch_errors", |counters| counters.container_launch_errors),
    ("slave/valid_status_updates", |counters| counters.valid_status_updates),
    ("slave/invalid_status_updates", |counters| counters.invalid_status_updates),
    ("slave/coalesced_status_updates", |counters| counters.coalesced_status_updates),
    ("slave/valid_framework_messages", |counters| counters.valid_framework_messages),
    ("slave/invalid_framework_messages", |counters| counters.invalid_framework_messages),
    ("slave/ignored_master_messages", |counters| counters.ignored_master_messages),
    ("slave/refused_executor_calls", |counters| counters.refused_executor_calls),
];

/// The agent's metrics on its node.
pub(crate) struct AgentMetrics {
    node: Metrics,
    counters: Vec<(Counter, Read)>,
    shown: Counters,
    counted: Option<Time>,
    registered: Gauge,
    uptime: Gauge,
}

/// Shows how long this machine's processes wait for what they need, where its kernel tells. Ours.
fn publish_pressure(node: &Metrics) {
    type Part = fn(&Pressure) -> Option<Waiting>;
    type Share = fn(Waiting) -> f64;
    let parts: [(&str, Part); 3] =
        [("cpu", |all| all.cpu), ("memory", |all| all.memory), ("io", |all| all.io)];
    let Some(present) = Pressure::of_machine() else { return };
    for (name, part) in parts.into_iter().filter(|(_, part)| part(&present).is_some()) {
        let shown: [(&str, Share); 2] =
            [("some_percent", |waiting| waiting.some_avg10), ("full_percent", |waiting| waiting.full_avg10)];
        for (kind, value) in shown {
            // Files of the kernel: reading them does not wait.
            let read = move || Pressure::of_machine().as_ref().and_then(part).map_or(0.0, value);
            node.pulled(&format!("system/pressure/{name}_{kind}"), read);
        }
    }
}

impl AgentMetrics {
    pub(crate) fn new(node: &Metrics) -> Self {
        let counters = COUNTERS.iter().map(|(name, read)| (node.counter(name), *read)).collect();
        for name in ["slave/recovery_errors", "slave/executors_preempted"] {
            node.counter(name);
        }
        publish_pressure(node);
        Self {
            node: node.clone(),
            counters,
            shown: Counters::default(),
            counted: None,
            registered: node.gauge("slave/registered"),
            uptime: node.gauge("slave/uptime_secs"),
        }
    }

    /// Shows what the machine has come to.
    pub(crate) fn update(&mut self, agent: &Agent, now: Time) {
        for (counter, read) in &self.counters {
            counter.add(read(agent.counters()) - read(&self.shown));
        }
        self.shown = *agent.counters();
        self.registered.set(if agent.phase() == Phase::Running { 1.0 } else { 0.0 });
        self.uptime.set(now.since(agent.started()).as_secs_f64());
        let tasks: usize = agent.frameworks().values().map(|framework| framework.tasks.len()).sum();
        let recently = self.counted.is_some_and(|before| now.since(before) < SECOND);
        if tasks <= COUNTED_ALWAYS || !recently {
            self.counted = Some(now);
            self.count(agent);
        }
    }

    fn count(&self, agent: &Agent) {
        let set = |name: &str, value: f64| self.node.gauge(&format!("slave/{name}")).set(value);
        let tasks = || agent.frameworks().values().flat_map(|framework| framework.tasks.values());
        for (name, state) in [
            ("tasks_staging", TaskState::Staging),
            ("tasks_starting", TaskState::Starting),
            ("tasks_running", TaskState::Running),
            ("tasks_killing", TaskState::Killing),
        ] {
            set(name, tasks().filter(|task| task.state == state).count() as f64);
        }
        let executors = || agent.frameworks().values().flat_map(|framework| framework.executors.values());
        let [mut registering, mut running, mut terminating] = [0.0; 3];
        for executor in executors() {
            match executor.state {
                ExecutorState::Registering => registering += 1.0,
                ExecutorState::Running(_) | ExecutorState::Away => running += 1.0,
                ExecutorState::Terminating(_) => terminating += 1.0,
            }
        }
        set("executors_registering", registering);
        set("executors_running", running);
        set("executors_terminating", terminating);
        set("frameworks_active", agent.frameworks().len() as f64);
        self.amounts(&agent.config().info.resources, &agent.used_resources());
    }

    fn amounts(&self, total: &Resources, used: &Resources) {
        for (revocable, suffix) in [(false, ""), (true, "_revocable")] {
            let of = |all: &Resources| all.filtered(|resource| resource.revocable == revocable);
            let (total, used) = (of(total), of(used));
            for name in AMOUNTS {
                let (total, used) = (total.scalar(name).as_f64(), used.scalar(name).as_f64());
                let percent = if total > 0.0 { used / total } else { 0.0 };
                for (kind, value) in [("total", total), ("used", used), ("percent", percent)] {
                    self.node.gauge(&format!("slave/{name}{suffix}_{kind}")).set(value);
                }
            }
        }
    }
}
