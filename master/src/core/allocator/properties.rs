//! Random calls against a plain model that keeps everything in maps and looks at everything each time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libactor::Time;
use proptest::prelude::*;
use protocol::{AgentId, FrameworkId, Resources, Role};

use super::{Allocator, AllocatorConfig, FrameworkDemand, Grant, Hierarchical, Withheld};

const FRAMEWORKS: u8 = 4;
const AGENTS: u8 = 4;
const ROLES: [&str; 4] = ["*", "a", "a/b", "c"];
const TOTALS: [&str; 5] = [
    "cpus:4;mem:256;ports:[1-9]",
    "cpus:2;mem:64;cpus(a):1;mem(a):32",
    "cpus:1;cpus(a/b):1;cpus(c):0.5;gpus:1",
    "cpus:0.005;mem:16",
    "cpus:8;mem:100;licences:3",
];

#[derive(Clone, Debug)]
enum Step {
    AddFramework(u8, FrameworkDemand),
    UpdateFramework(u8, FrameworkDemand),
    RemoveFramework(u8),
    AddAgent(u8, usize, Option<(u8, usize)>),
    UpdateAgent(u8, usize),
    SetAgentActive(u8, bool),
    RemoveAgent(u8),
    /// Gives back this part (in quarters) of what the n-th allocation is.
    Recover(usize, u64, Option<u64>),
    Suppress(u8, BTreeSet<Role>),
    Revive(u8, BTreeSet<Role>),
    Weigh(usize, u64),
    Allocate(u64),
}

fn roles() -> impl Strategy<Value = BTreeSet<Role>> {
    proptest::sample::subsequence(ROLES.to_vec(), 0..=ROLES.len())
        .prop_map(|names| names.into_iter().map(Role::from).collect())
}

fn demand() -> impl Strategy<Value = FrameworkDemand> {
    (roles(), roles(), any::<bool>(), proptest::bool::weighted(0.8)).prop_map(
        |(roles, suppressed, gpus, active)| {
            let suppressed = suppressed.intersection(&roles).take(1).cloned().collect();
            FrameworkDemand { roles, suppressed, gpus, active }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let used = proptest::option::weighted(0.3, (0..FRAMEWORKS, 0..ROLES.len()));
    prop_oneof![
        3 => (0..FRAMEWORKS, demand()).prop_map(|(f, d)| Step::AddFramework(f, d)),
        2 => (0..FRAMEWORKS, demand()).prop_map(|(f, d)| Step::UpdateFramework(f, d)),
        1 => (0..FRAMEWORKS).prop_map(Step::RemoveFramework),
        4 => (0..AGENTS, 0..TOTALS.len(), used).prop_map(|(a, t, used)| Step::AddAgent(a, t, used)),
        1 => (0..AGENTS, 0..TOTALS.len()).prop_map(|(a, t)| Step::UpdateAgent(a, t)),
        1 => (0..AGENTS, any::<bool>()).prop_map(|(a, active)| Step::SetAgentActive(a, active)),
        1 => (0..AGENTS).prop_map(Step::RemoveAgent),
        9 => (any::<usize>(), 1..=4u64, proptest::option::of(0..8u64)).prop_map(|(n, q, r)| Step::Recover(n, q, r)),
        1 => (0..FRAMEWORKS, roles()).prop_map(|(f, r)| Step::Suppress(f, r)),
        1 => (0..FRAMEWORKS, roles()).prop_map(|(f, r)| Step::Revive(f, r)),
        1 => (0..ROLES.len(), 0..3000u64).prop_map(|(r, w)| Step::Weigh(r, w)),
        6 => (0..3u64).prop_map(Step::Allocate),
    ]
}

fn framework_id(number: u8) -> FrameworkId {
    format!("f{number}").into()
}

fn agent_id(number: u8) -> AgentId {
    format!("a{number}").into()
}

struct Filter {
    framework: FrameworkId,
    role: Role,
    agent: AgentId,
    refused: Resources,
    until: Time,
}

#[derive(Default)]
struct Model {
    now: Time,
    demands: BTreeMap<FrameworkId, FrameworkDemand>,
    agents: BTreeMap<AgentId, (Resources, bool)>,
    allocated: BTreeMap<(AgentId, FrameworkId, Role), Resources>,
    filters: Vec<Filter>,
}

impl Model {
    fn free(&self, agent: &AgentId) -> Resources {
        let mut free = self.agents[agent].0.clone();
        for ((on, _, _), resources) in &self.allocated {
            if on == agent {
                free -= resources;
            }
        }
        free
    }

    #[expect(clippy::too_many_lines, reason = "one arm a step")]
    fn apply(&mut self, step: &Step, real: &mut Hierarchical) {
        match step.clone() {
            Step::AddFramework(number, demand) => {
                real.add_framework(&framework_id(number), demand.clone(), &BTreeMap::new());
                self.set_demand(framework_id(number), demand);
            }
            Step::UpdateFramework(number, demand) => {
                real.update_framework(&framework_id(number), demand.clone());
                if self.demands.contains_key(&framework_id(number)) {
                    self.set_demand(framework_id(number), demand);
                }
            }
            Step::RemoveFramework(number) => {
                let id = framework_id(number);
                real.remove_framework(&id);
                self.demands.remove(&id);
                self.allocated.retain(|(_, framework, _), _| *framework != id);
                self.filters.retain(|filter| filter.framework != id);
            }
            Step::AddAgent(number, total, used) => {
                self.remove_agent(&agent_id(number));
                let total: Resources = TOTALS[total].parse().unwrap();
                let used =
                    used.map(|(f, role)| ((framework_id(f), ROLES[role].into()), "cpus:3".parse().unwrap()));
                let used: BTreeMap<(FrameworkId, Role), Resources> = used.into_iter().collect();
                real.add_agent(&agent_id(number), total.clone(), &used);
                self.agents.insert(agent_id(number), (total, true));
                for ((framework, role), resources) in used {
                    self.allocated.insert((agent_id(number), framework, role), resources);
                }
            }
            Step::UpdateAgent(number, total) => {
                let total: Resources = TOTALS[total].parse().unwrap();
                real.update_agent(&agent_id(number), total.clone());
                if let Some(agent) = self.agents.get_mut(&agent_id(number)) {
                    agent.0 = total;
                    self.filters.retain(|filter| filter.agent != agent_id(number));
                }
            }
            Step::SetAgentActive(number, active) => {
                real.set_agent_active(&agent_id(number), active);
                if let Some(agent) = self.agents.get_mut(&agent_id(number)) {
                    agent.1 = active;
                }
            }
            Step::RemoveAgent(number) => {
                real.remove_agent(&agent_id(number));
                self.remove_agent(&agent_id(number));
            }
            Step::Recover(which, quarters, refuse) => self.recover(real, which, quarters, refuse),
            Step::Suppress(number, roles) => {
                real.suppress(&framework_id(number), &roles);
                if let Some(demand) = self.demands.get_mut(&framework_id(number)) {
                    let meant = demand.roles.iter().filter(|role| roles.is_empty() || roles.contains(role));
                    demand.suppressed.extend(meant.cloned());
                }
            }
            Step::Revive(number, roles) => {
                let id = framework_id(number);
                real.revive(&id, &roles);
                let meant = |role: &Role| roles.is_empty() || roles.contains(role);
                if let Some(demand) = self.demands.get_mut(&id) {
                    demand.suppressed.retain(|role| !meant(role));
                    self.filters.retain(|filter| filter.framework != id || !meant(&filter.role));
                }
            }
            Step::Weigh(role, weight) => real.set_weights(&BTreeMap::from([(ROLES[role].into(), weight)])),
            Step::Allocate(seconds) => {
                self.now = self.now + Duration::from_secs(seconds);
                let grants = real.allocate(self.now);
                self.check_grants(real, grants);
            }
        }
    }

    fn set_demand(&mut self, id: FrameworkId, demand: FrameworkDemand) {
        self.filters.retain(|filter| {
            filter.framework != id || (demand.active && demand.roles.contains(&filter.role))
        });
        self.demands.insert(id, demand);
    }

    fn remove_agent(&mut self, id: &AgentId) {
        self.agents.remove(id);
        self.allocated.retain(|(agent, _, _), _| agent != id);
        self.filters.retain(|filter| filter.agent != *id);
    }

    fn recover(&mut self, real: &mut Hierarchical, which: usize, quarters: u64, refuse: Option<u64>) {
        if self.allocated.is_empty() {
            return;
        }
        let ((agent, framework, role), held) =
            self.allocated.iter().nth(which % self.allocated.len()).expect("one of them");
        let (agent, framework, role) = (agent.clone(), framework.clone(), role.clone());
        let mut left = held.clone();
        let part = |resource: &protocol::Resource| {
            let mut resource = resource.clone();
            if let protocol::resources::Value::Scalar(amount) = resource.value {
                let part = amount.millis() * quarters / 4;
                resource.value = protocol::resources::Value::Scalar(protocol::Scalar::from_millis(part));
            }
            resource
        };
        let given: Resources = held.iter().map(part).collect();
        left -= &given;
        let key = (agent.clone(), framework.clone(), role.clone());
        match left.is_empty() {
            true => self.allocated.remove(&key),
            false => self.allocated.insert(key, left),
        };
        real.recover(self.now, &framework, &role, &agent, &given, refuse.map(Duration::from_secs));
        let demand = self.demands.get(&framework);
        if let Some(refuse) = refuse.filter(|refuse| *refuse > 0 && !given.is_empty())
            && demand.is_some_and(|demand| demand.active && demand.roles.contains(&role))
        {
            let until = self.now + Duration::from_secs(refuse);
            self.filters.push(Filter { framework, role, agent, refused: given, until });
        }
    }

    /// Why nothing of an agent may go to a framework for a role, or `NotItsTurn`.
    fn withheld(&self, framework: &FrameworkId, role: &Role, agent: &AgentId) -> Withheld {
        let Some(demand) = self.demands.get(framework).filter(|demand| demand.active) else {
            return Withheld::Inactive;
        };
        if !demand.roles.contains(role) || demand.suppressed.contains(role) {
            return Withheld::Suppressed;
        }
        let Some((total, _)) = self.agents.get(agent).filter(|(_, active)| *active) else {
            return Withheld::AgentInactive;
        };
        if total.gpus().millis() > 0 && !demand.gpus {
            return Withheld::NeedsGpuCapability;
        }
        let offered = self.free(agent).allocatable_to(role);
        if offered.cpus().millis() < 10 && offered.mem().millis() < 32_000 {
            return Withheld::TooLittle;
        }
        let filters = self.filters.iter().filter(|filter| {
            (&filter.framework, &filter.role, &filter.agent) == (framework, role, agent)
                && filter.until > self.now
                && filter.refused.contains(&offered)
        });
        match filters.map(|filter| filter.until).max() {
            Some(until) => Withheld::Filtered { until },
            None => Withheld::NotItsTurn,
        }
    }

    fn check_grants(&mut self, real: &Hierarchical, grants: Vec<Grant>) {
        for Grant { framework_id, role, agent_id, resources } in grants {
            assert_eq!(self.withheld(&framework_id, &role, &agent_id), Withheld::NotItsTurn);
            assert_eq!(resources, self.free(&agent_id).allocatable_to(&role), "all that is free");
            *self.allocated.entry((agent_id, framework_id, role)).or_default() += &resources;
        }
        for agent in self.agents.keys() {
            for framework in self.demands.keys() {
                for role in ROLES {
                    let withheld = self.withheld(framework, &role.into(), agent);
                    assert_ne!(withheld, Withheld::NotItsTurn, "{framework} {role} {agent} was missed");
                }
            }
        }
        self.check_reasons(real);
    }

    fn check_reasons(&self, real: &Hierarchical) {
        for agent in (0..AGENTS).map(agent_id) {
            for framework in (0..FRAMEWORKS).map(framework_id) {
                for role in ROLES.map(Role::from) {
                    let expected = self.withheld(&framework, &role, &agent);
                    assert_eq!(real.withheld(self.now, &framework, &role, &agent), expected);
                }
            }
        }
    }

    fn check(&self, real: &Hierarchical) {
        real.check();
        self.check_reasons(real);
        for agent in (0..AGENTS).map(agent_id) {
            let mine = self.allocated.iter().filter(|((on, _, _), _)| *on == agent);
            let mine: BTreeMap<_, _> =
                mine.map(|((_, f, r), resources)| ((f.clone(), r.clone()), resources.clone())).collect();
            assert_eq!(real.allocated(&agent), mine);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_model_agrees(steps in proptest::collection::vec(step(), 1..80), seed in any::<u64>()) {
        let mut real = Hierarchical::new(AllocatorConfig::default(), seed);
        let mut model = Model::default();
        for step in &steps {
            model.apply(step, &mut real);
            model.check(&real);
        }
    }
}
