//! Maintenance of machines: when which are worked on, and which are down for it. Source of the sentences: Mesos 1.11,
//! `src/master/maintenance.cpp`.
//!
//! ```text
//!   UP ── UPDATE_MAINTENANCE_SCHEDULE names it ──► DRAINING ── START_MAINTENANCE ──► DOWN
//!    ▲  ◄── names it no more ──────────────────────────┘                              │
//!    └──────────────────────── STOP_MAINTENANCE: it leaves the schedule ◄─────────────┘
//! ```
//! A machine is named by its host name, its address, or both; what is left out is any. Agents of one that goes down are told
//! to end and are removed; none is admitted from there until it is up. DRAINING alone changes nothing: there are no inverse
//! offers.

use std::collections::BTreeSet;

use libactor::Pid;
use protocol::messages::AgentEvent;
use protocol::{AgentId, AgentInfo};

use super::agents::Leaving;
use super::input::{Answer, Ask, Change, Refusal};
use super::{Master, Turn, limits};
use crate::registry::{self, Machine, Operation, Window};

/// What agents of a machine that goes down are told, and what their frameworks are told of them.
const GOES_DOWN: &str = "Operator initiated 'Machine DOWN'";
/// What agents of a machine that is down are told.
pub(super) const DOWN: &str = "Machine is `DOWN`";

/// The schedule, and the machines that are down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// The schedule.
    pub windows: Vec<Window>,
    /// Machines that are down: all of them in the schedule.
    pub down: BTreeSet<Machine>,
}

impl Maintenance {
    /// As the registry has it.
    pub(super) fn of(state: &registry::State) -> Self {
        Self { windows: state.maintenance.clone(), down: state.machines_down.iter().cloned().collect() }
    }

    /// Machines in the schedule that are not down, in its order.
    pub fn draining(&self) -> impl Iterator<Item = &Machine> {
        self.scheduled().filter(|machine| !self.down.contains(machine))
    }

    fn scheduled(&self) -> impl Iterator<Item = &Machine> {
        self.windows.iter().flat_map(|window| &window.machines)
    }

    /// Whether an agent is on a machine that is down.
    fn holds(&self, info: &AgentInfo, pid: &Pid) -> bool {
        let hostname = info.hostname.to_ascii_lowercase();
        let ip = pid.address().ip().to_string();
        let named = [(hostname.as_str(), ip.as_str()), (&hostname, ""), ("", &ip)];
        named.into_iter().any(|(hostname, ip)| {
            !self.down.is_empty()
                && self.down.contains(&Machine { hostname: hostname.to_owned(), ip: ip.to_owned() })
        })
    }

    /// Follows the registry.
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::UpdateSchedule { windows } => self.windows = windows.clone(),
            Operation::StartMaintenance { machines } => self.down.extend(machines.iter().cloned()),
            Operation::StopMaintenance { machines } => {
                let up: BTreeSet<_> = machines.iter().collect();
                self.down.retain(|machine| !up.contains(machine));
                for window in &mut self.windows {
                    window.machines.retain(|machine| !up.contains(machine));
                }
                self.windows.retain(|window| !window.machines.is_empty());
            }
            _ => {}
        }
    }

    /// Whether a schedule may take the place of this one.
    fn may_become(&self, windows: &[Window]) -> Result<(), String> {
        let mut named = BTreeSet::new();
        for window in windows {
            if window.machines.is_empty() {
                return Err("List of machines in the maintenance window is empty".to_owned());
            }
            for machine in &window.machines {
                valid(machine)?;
                if !named.insert(machine) {
                    return Err(twice(machine));
                }
            }
        }
        if named.len() > limits::MAX_MACHINES {
            return Err(format!("A schedule has at most {} machines", limits::MAX_MACHINES));
        }
        match self.down.iter().find(|machine| !named.contains(machine)) {
            Some(machine) => {
                let machine = registry::machine_text(machine);
                Err(format!("Machine '{machine}' is deactivated and cannot be removed from the schedule"))
            }
            None => Ok(()),
        }
    }

    /// Whether machines may go down, or up.
    fn may_move(&self, machines: &[Machine], down: bool) -> Result<(), String> {
        if machines.is_empty() {
            return Err("List of machines is empty".to_owned());
        }
        let mut named = BTreeSet::new();
        for machine in machines {
            valid(machine)?;
            if !named.insert(machine) {
                return Err(twice(machine));
            }
        }
        let scheduled: BTreeSet<_> = self.scheduled().collect();
        for machine in machines {
            let (is_down, text) = (self.down.contains(machine), registry::machine_text(machine));
            if !scheduled.contains(machine) {
                return Err(format!("Machine '{text}' is not part of a maintenance schedule"));
            }
            if down && is_down {
                return Err(format!("Machine '{text}' is not in DRAINING mode and cannot be brought down"));
            }
            if !down && !is_down {
                return Err(format!("Machine '{text}' is not in DOWN mode and cannot be brought up"));
            }
        }
        Ok(())
    }
}

fn valid(machine: &Machine) -> Result<(), String> {
    if machine.hostname.is_empty() && machine.ip.is_empty() {
        return Err("Both 'hostname' and 'ip' for a machine are empty".to_owned());
    }
    if machine.ip.is_empty() || machine.ip.parse::<std::net::IpAddr>().is_ok() {
        return Ok(());
    }
    Err(format!("Failed to parse IPv4: {}", machine.ip))
}

fn twice(machine: &Machine) -> String {
    format!("Machine '{}' appears more than once in the schedule", registry::machine_text(machine))
}

impl Master {
    /// An operator says when machines are worked on.
    pub(super) fn update_schedule(&mut self, turn: &mut Turn<'_>, ask: Ask, windows: Vec<Window>) {
        let may = self.maintenance.may_become(&windows);
        self.ask_for_maintenance(turn, ask, may, Operation::UpdateSchedule { windows });
    }

    /// An operator takes machines down.
    pub(super) fn start_maintenance(&mut self, turn: &mut Turn<'_>, ask: Ask, machines: Vec<Machine>) {
        let may = self.maintenance.may_move(&machines, true);
        self.ask_for_maintenance(turn, ask, may, Operation::StartMaintenance { machines });
    }

    /// They are back.
    pub(super) fn stop_maintenance(&mut self, turn: &mut Turn<'_>, ask: Ask, machines: Vec<Machine>) {
        let may = self.maintenance.may_move(&machines, false);
        self.ask_for_maintenance(turn, ask, may, Operation::StopMaintenance { machines });
    }

    /// One at a time: what may follow depends on what there is.
    fn ask_for_maintenance(
        &mut self,
        turn: &mut Turn<'_>,
        ask: Ask,
        may: Result<(), String>,
        operation: Operation,
    ) {
        let refusal = match may {
            Err(why) => (Refusal::Invalid, why),
            Ok(()) if self.maintaining.is_some() => {
                (Refusal::Unavailable, "Another change of the maintenance is under way: try again".to_owned())
            }
            Ok(()) => {
                self.maintaining = Some(ask);
                return turn.apply(operation);
            }
        };
        turn.answer(ask, Answer::Refused(refusal.0, refusal.1));
    }

    /// The registry has a change of the maintenance.
    pub(super) fn maintained(&mut self, turn: &mut Turn<'_>, operation: &Operation) {
        self.maintenance.apply(operation);
        turn.changed(Change::Maintenance);
        if let Operation::StartMaintenance { .. } = operation {
            let there = self.agents.values().filter(|agent| agent.leaving.is_none());
            let down: Vec<AgentId> = there
                .filter(|agent| self.is_down(&agent.info, &agent.pid))
                .map(|agent| agent.id.clone())
                .collect();
            for id in down {
                self.tell_agent(turn, &id, AgentEvent::Shutdown { message: GOES_DOWN.to_owned() });
                self.start_leaving(turn, &id, Leaving::Removed(GOES_DOWN));
            }
        }
        if let Some(ask) = self.maintaining.take() {
            turn.answer(ask, Answer::Done);
        }
    }

    /// Whether an agent that speaks from there is on a machine that is down.
    pub(super) fn is_down(&self, info: &AgentInfo, pid: &Pid) -> bool {
        self.maintenance.holds(info, pid)
    }
}
