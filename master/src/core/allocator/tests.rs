//! What the allocator does, case by case.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libactor::Time;
use protocol::{AgentId, FrameworkId, Resources, Role};

use super::{Allocator, AllocatorConfig, FrameworkDemand, Grant, Hierarchical, Withheld};

/// An allocator that is checked after every call, with names and resources as text.
struct Bench(Hierarchical);

fn at(seconds: u64) -> Time {
    Time::from_nanos(seconds * 1_000_000_000)
}

fn res(text: &str) -> Resources {
    text.parse().unwrap()
}

fn roles(names: &[&str]) -> BTreeSet<Role> {
    names.iter().map(|name| Role::from(*name)).collect()
}

fn demand(names: &[&str]) -> FrameworkDemand {
    FrameworkDemand { roles: roles(names), suppressed: BTreeSet::new(), gpus: false, active: true }
}

impl Bench {
    fn new() -> Self {
        Self::with(AllocatorConfig::default())
    }

    fn with(config: AllocatorConfig) -> Self {
        Self(Hierarchical::new(config, 7))
    }

    fn framework(&mut self, id: &str, names: &[&str]) {
        self.0.add_framework(&id.into(), demand(names), &BTreeMap::new());
        self.0.check();
    }

    fn agent(&mut self, id: &str, total: &str) {
        self.0.add_agent(&id.into(), res(total), &BTreeMap::new());
        self.0.check();
    }

    fn grants(&mut self, now: u64) -> Vec<Grant> {
        let grants = self.0.allocate(at(now));
        self.0.check();
        grants
    }

    /// The grants as `framework role agent resources`, in order of that text.
    fn allocate(&mut self, now: u64) -> Vec<String> {
        let grants = self.grants(now);
        let text = |g: Grant| format!("{} {} {} {}", g.framework_id, g.role, g.agent_id, g.resources);
        let mut lines: Vec<String> = grants.into_iter().map(text).collect();
        lines.sort();
        lines
    }

    fn recover(&mut self, now: u64, grant: [&str; 4], refuse: Option<u64>) {
        let [framework, role, agent, resources] = grant;
        self.0.recover(
            at(now),
            &framework.into(),
            &role.into(),
            &agent.into(),
            &res(resources),
            refuse.map(Duration::from_secs),
        );
        self.0.check();
    }

    fn withheld(&self, now: u64, framework: &str, role: &str, agent: &str) -> Withheld {
        self.0.withheld(at(now), &framework.into(), &role.into(), &agent.into())
    }
}

/// How many agents each framework has after equal agents were added one by one.
fn converge(frameworks: &[(&str, &str)], weights: &[(&str, u64)], agents: usize) -> Vec<usize> {
    let mut bench = Bench::new();
    bench.0.set_weights(&weights.iter().map(|(role, weight)| (Role::from(*role), *weight)).collect());
    for (id, role) in frameworks {
        bench.framework(id, &[role]);
    }
    let mut counts = BTreeMap::new();
    for agent in 0..agents {
        bench.agent(&format!("a{agent}"), "cpus:2;mem:1024");
        for grant in bench.grants(0) {
            *counts.entry(grant.framework_id.to_string()).or_insert(0) += 1;
        }
    }
    frameworks.iter().map(|(id, _)| counts.get(*id).copied().unwrap_or(0)).collect()
}

#[test]
fn shares_converge_by_weight_over_roles_then_frameworks() {
    assert_eq!(converge(&[("f", "*"), ("g", "*")], &[], 10), [5, 5]);
    assert_eq!(converge(&[("f", "a"), ("g", "b")], &[("a", 2000)], 12), [8, 4]);
    assert_eq!(converge(&[("f", "a"), ("g", "b")], &[("b", 500)], 12), [8, 4]);
    assert_eq!(converge(&[("f", "a"), ("g", "b"), ("h", "b")], &[], 12), [6, 3, 3]);
}

#[test]
fn the_dominant_share_decides_not_the_amount() {
    let mut bench = Bench::new();
    bench.agent("cpus", "cpus:8;mem:100");
    bench.agent("mem", "cpus:1;mem:700");
    bench.framework("f", &["*"]);
    bench.0.set_agent_active(&"mem".into(), false);
    assert_eq!(bench.allocate(0).len(), 1);
    bench.recover(0, ["f", "*", "cpus", "cpus:1;mem:90"], None);
    bench.0.set_agent_active(&"cpus".into(), false);
    bench.framework("g", &["*"]);
    bench.0.set_agent_active(&"mem".into(), true);
    assert_eq!(bench.allocate(0), ["g * mem cpus:1;mem:700"], "f has 7/9 of cpus, g nothing");
    bench.agent("new", "cpus:1;mem:32");
    assert_eq!(bench.allocate(0), ["f * new cpus:1;mem:32"], "f has 7/10 of cpus, g 700/832 of mem");
}

#[test]
fn names_excluded_from_fair_sharing_do_not_count() {
    let excluded = BTreeSet::from(["gpus".to_owned()]);
    for (config, expected) in [
        (AllocatorConfig::default(), "g"),
        (
            AllocatorConfig { fair_sharing_excluded_resource_names: excluded, ..AllocatorConfig::default() },
            "f",
        ),
    ] {
        let mut bench = Bench::with(config);
        let with_gpus = FrameworkDemand { gpus: true, ..demand(&["*"]) };
        bench.agent("a", "cpus:1;mem:32;gpus:8");
        bench.agent("b", "cpus:10;mem:320");
        bench.agent("idle", "cpus:19;mem:608");
        bench.0.set_agent_active(&"idle".into(), false);
        let used = |agent: &str, what: &str| BTreeMap::from([((agent.into(), Role::default()), res(what))]);
        bench.0.add_framework(&"f".into(), with_gpus.clone(), &used("a", "cpus:1;mem:32;gpus:8"));
        bench.0.add_framework(&"g".into(), with_gpus, &used("b", "cpus:10;mem:320"));
        bench.agent("c", "cpus:1;mem:32");
        assert_eq!(bench.grants(0)[0].framework_id, FrameworkId::from(expected));
    }
}

#[test]
fn a_declining_framework_is_passed_by() {
    let mut bench = Bench::new();
    bench.framework("f", &["*"]);
    bench.framework("g", &["*"]);
    bench.agent("a", "cpus:2;mem:1024");
    assert_eq!(bench.allocate(0), ["f * a cpus:2;mem:1024"]);
    bench.recover(0, ["f", "*", "a", "cpus:2;mem:1024"], None);
    assert_eq!(bench.allocate(1), ["g * a cpus:2;mem:1024"], "equal shares, fewer grants");
    bench.recover(1, ["g", "*", "a", "cpus:2;mem:1024"], Some(0));
    assert_eq!(bench.allocate(2), ["f * a cpus:2;mem:1024"], "zero refuses nothing; by name");
}

#[test]
fn filters_block_parts_until_they_end() {
    let mut bench = Bench::new();
    bench.framework("f", &["*"]);
    bench.agent("a", "cpus:4;mem:1024;ports:[1-9]");
    bench.allocate(0);
    bench.recover(0, ["f", "*", "a", "cpus:2;mem:1000"], Some(5));
    assert_eq!(bench.withheld(0, "f", "*", "a"), Withheld::Filtered { until: at(5) });
    assert!(bench.allocate(4).is_empty());
    bench.recover(4, ["f", "*", "a", "mem:24"], None);
    assert_eq!(bench.allocate(4), ["f * a cpus:2;mem:1024"], "more than was refused");
    bench.recover(4, ["f", "*", "a", "cpus:2;mem:1000"], None);
    assert!(bench.allocate(4).is_empty(), "the filter still is");
    assert_eq!(bench.allocate(5), ["f * a cpus:2;mem:1000"]);
    assert_eq!(bench.withheld(5, "f", "*", "a"), Withheld::TooLittle);
}

#[test]
fn no_filter_is_shorter_than_the_allocation_interval_or_longer_than_a_year() {
    let mut bench = Bench::new();
    bench.framework("f", &["*"]);
    bench.agent("a", "cpus:4;mem:64");
    bench.allocate(0);
    bench.0.recover(
        at(0),
        &"f".into(),
        &Role::default(),
        &"a".into(),
        &res("cpus:4;mem:64"),
        Some(Duration::from_millis(1)),
    );
    assert_eq!(bench.withheld(0, "f", "*", "a"), Withheld::Filtered { until: at(1) });
    assert_eq!(bench.allocate(1).len(), 1);
    bench.recover(1, ["f", "*", "a", "cpus:4;mem:64"], Some(u64::MAX));
    assert_eq!(bench.withheld(1, "f", "*", "a"), Withheld::Filtered { until: at(1 + 365 * 86400) });
}

#[test]
fn what_removes_filters() {
    let id = |text: &str| FrameworkId::from(text);
    let agent = || AgentId::from("a");
    type Step = fn(&mut Hierarchical);
    let cases: [(&str, Step, bool); 9] = [
        ("revive all", |h| h.revive(&"f".into(), &BTreeSet::new()), true),
        ("revive the role", |h| h.revive(&"f".into(), &roles(&["r"])), true),
        ("revive another role", |h| h.revive(&"f".into(), &roles(&["q"])), false),
        ("another revives", |h| h.revive(&"g".into(), &BTreeSet::new()), false),
        ("suppress alone", |h| h.suppress(&"g".into(), &BTreeSet::new()), false),
        ("the agent changes", |h| h.update_agent(&"a".into(), res("cpus:2;mem:64")), true),
        (
            "the agent comes anew",
            |h| {
                h.remove_agent(&"a".into());
                h.add_agent(&"a".into(), res("cpus:2;mem:64"), &BTreeMap::new());
            },
            true,
        ),
        (
            "deactivation",
            |h| {
                h.update_framework(&"f".into(), FrameworkDemand { active: false, ..demand(&["q", "r"]) });
                h.update_framework(&"f".into(), demand(&["q", "r"]));
            },
            true,
        ),
        (
            "leaving the role",
            |h| {
                h.update_framework(&"f".into(), demand(&["q"]));
                h.update_framework(&"f".into(), demand(&["q", "r"]));
            },
            true,
        ),
    ];
    for (what, step, removed) in cases {
        let mut bench = Bench::new();
        bench.framework("f", &["q", "r"]);
        bench.framework("g", &["r"]);
        bench.0.suppress(&id("f"), &roles(&["q"]));
        bench.0.suppress(&id("g"), &BTreeSet::new());
        bench.agent("a", "cpus:2;mem:64");
        assert_eq!(bench.allocate(0), ["f r a cpus:2;mem:64"], "{what}");
        bench.recover(0, ["f", "r", "a", "cpus:2;mem:64"], Some(60));
        step(&mut bench.0);
        bench.0.suppress(&id("f"), &roles(&["q"]));
        bench.0.suppress(&id("g"), &BTreeSet::new());
        bench.0.check();
        let until = Withheld::Filtered { until: at(60) };
        let reason = if removed { Withheld::NotItsTurn } else { until };
        assert_eq!(bench.0.withheld(at(1), &id("f"), &"r".into(), &agent()), reason, "{what}");
        assert_eq!(bench.allocate(1).len(), usize::from(removed), "{what}");
    }
}

#[test]
fn suppression_is_by_role() {
    let mut bench = Bench::new();
    bench.framework("f", &["q", "r"]);
    bench.0.suppress(&"f".into(), &roles(&["q"]));
    bench.agent("a", "cpus:2;mem:64");
    assert_eq!(bench.allocate(0), ["f r a cpus:2;mem:64"]);
    bench.0.suppress(&"f".into(), &BTreeSet::new());
    bench.recover(0, ["f", "r", "a", "cpus:2;mem:64"], None);
    assert!(bench.allocate(1).is_empty());
    assert_eq!(bench.withheld(1, "f", "r", "a"), Withheld::Suppressed);
    assert_eq!(bench.withheld(1, "f", "other", "a"), Withheld::Suppressed);
    bench.0.revive(&"f".into(), &roles(&["q"]));
    assert_eq!(bench.allocate(1), ["f q a cpus:2;mem:64"]);
}

#[test]
fn inactive_frameworks_and_agents_get_and_give_nothing() {
    let mut bench = Bench::new();
    bench.framework("f", &["*"]);
    bench.agent("a", "cpus:2;mem:64");
    bench.0.update_framework(&"f".into(), FrameworkDemand { active: false, ..demand(&["*"]) });
    assert!(bench.allocate(0).is_empty());
    assert_eq!(bench.withheld(0, "f", "*", "a"), Withheld::Inactive);
    assert_eq!(bench.withheld(0, "nobody", "*", "a"), Withheld::Inactive);
    bench.0.update_framework(&"f".into(), demand(&["*"]));
    bench.0.set_agent_active(&"a".into(), false);
    assert!(bench.allocate(0).is_empty());
    assert_eq!(bench.withheld(0, "f", "*", "a"), Withheld::AgentInactive);
    bench.0.set_agent_active(&"a".into(), true);
    assert_eq!(bench.withheld(0, "f", "*", "a"), Withheld::NotItsTurn);
    assert_eq!(bench.allocate(0).len(), 1);
}

#[test]
fn agents_with_gpus_are_for_those_who_ask() {
    let mut bench = Bench::new();
    bench.framework("f", &["*"]);
    bench.agent("a", "cpus:2;mem:64;gpus:1");
    assert!(bench.allocate(0).is_empty());
    assert_eq!(bench.withheld(0, "f", "*", "a"), Withheld::NeedsGpuCapability);
    bench.0.update_framework(&"f".into(), FrameworkDemand { gpus: true, ..demand(&["*"]) });
    assert_eq!(bench.allocate(0), ["f * a cpus:2;gpus:1;mem:64"]);
    let config = AllocatorConfig { filter_gpu_resources: false, ..AllocatorConfig::default() };
    let mut bench = Bench::with(config);
    bench.framework("f", &["*"]);
    bench.agent("a", "cpus:2;mem:64;gpus:1");
    assert_eq!(bench.allocate(0).len(), 1);
}

#[test]
fn reservations_go_to_their_role_and_those_below_it() {
    let total = "cpus(prod):2;mem(prod):64;cpus:1;mem:32";
    for (role, expected) in [
        ("prod", "cpus:1;cpus(prod):2;mem:32;mem(prod):64"),
        ("prod/web", "cpus:1;cpus(prod):2;mem:32;mem(prod):64"),
        ("production", "cpus:1;mem:32"),
        ("*", "cpus:1;mem:32"),
    ] {
        let mut bench = Bench::new();
        bench.framework("f", &[role]);
        bench.agent("a", total);
        assert_eq!(bench.allocate(0), [format!("f {role} a {expected}")]);
    }
    let mut bench = Bench::new();
    bench.framework("f", &["dev"]);
    bench.framework("g", &["prod"]);
    bench.agent("a", total);
    let expected = ["f dev a cpus:1;mem:32", "g prod a cpus(prod):2;mem(prod):64"];
    assert_eq!(bench.allocate(0), expected, "what one role can't have goes to the next");
}

#[test]
fn scraps_are_not_offered() {
    for (total, offered) in [
        ("cpus:0.01", true),
        ("mem:32", true),
        ("cpus:0.009;mem:31.999;disk:1000", false),
        ("ports:[1-9]", false),
        ("cpus(f):0.006;cpus:0.006", true),
        ("cpus(g):0.006;cpus:0.006", false),
    ] {
        let mut bench = Bench::new();
        bench.framework("f", &["f"]);
        bench.agent("a", total);
        let reason = if offered { Withheld::NotItsTurn } else { Withheld::TooLittle };
        assert_eq!(bench.withheld(0, "f", "f", "a"), reason, "{total}");
        assert_eq!(bench.allocate(0).len(), usize::from(offered), "{total}");
    }
    let mut bench = Bench::with(AllocatorConfig { min_allocatable: vec![], ..AllocatorConfig::default() });
    bench.framework("f", &["*"]);
    bench.agent("a", "ports:[1-9]");
    assert_eq!(bench.allocate(0), ["f * a ports:[1-9]"]);
}

#[test]
fn ports_come_back_as_they_went() {
    let mut bench = Bench::new();
    bench.framework("f", &["*"]);
    bench.agent("a", "cpus:2;ports:[1-9]");
    bench.allocate(0);
    bench.recover(0, ["f", "*", "a", "cpus:1;ports:[2-3, 9-9]"], None);
    assert_eq!(bench.allocate(1), ["f * a cpus:1;ports:[2-3, 9-9]"]);
    assert_eq!(bench.0.allocated(&"a".into()).into_values().collect::<Vec<_>>(), [res("cpus:2;ports:[1-9]")]);
}

#[test]
fn what_goes_away_gives_back() {
    let mut bench = Bench::new();
    bench.framework("f", &["*"]);
    bench.framework("g", &["*"]);
    bench.agent("a", "cpus:2;mem:64");
    bench.allocate(0);
    bench.0.remove_agent(&"a".into());
    bench.0.check();
    assert!(bench.0.allocated(&"a".into()).is_empty());
    bench.agent("b", "cpus:2;mem:64");
    assert_eq!(bench.allocate(1), ["g * b cpus:2;mem:64"], "nobody has anything, g had fewer grants");
    bench.0.remove_framework(&"g".into());
    assert_eq!(bench.allocate(2), ["f * b cpus:2;mem:64"]);
    bench.0.remove_framework(&"f".into());
    bench.0.check();
    assert!(bench.0.roles.is_empty() && bench.0.framework_slots.is_empty(), "nothing is remembered");
}

#[test]
fn what_is_in_use_may_be_told_in_either_order() {
    let used_by = |id: &str| BTreeMap::from([((id.into(), Role::from("r")), res("cpus:1.5"))]);
    let used_on = BTreeMap::from([(("a".into(), Role::from("r")), res("cpus:1.5"))]);
    for agent_first in [true, false] {
        let mut bench = Bench::new();
        if !agent_first {
            bench.0.add_framework(&"f".into(), demand(&["r"]), &used_on);
        }
        bench.0.add_agent(&"a".into(), res("cpus:2"), &used_by("f"));
        bench.0.check();
        if agent_first {
            bench.0.add_framework(&"f".into(), demand(&["r"]), &used_on);
        }
        assert_eq!(bench.0.allocated(&"a".into()), used_by("f"));
        assert_eq!(bench.allocate(0), ["f r a cpus:0.5"]);
    }
    let mut bench = Bench::new();
    bench.0.add_agent(&"a".into(), res("cpus:2"), &used_by("f"));
    bench.recover(0, ["f", "r", "a", "cpus:1.5"], Some(9));
    assert!(bench.0.allocated(&"a".into()).is_empty() && bench.0.framework_slots.is_empty());
}

#[test]
fn an_over_committed_agent_offers_only_what_is_left() {
    let mut bench = Bench::new();
    bench.framework("f", &["*"]);
    let used = BTreeMap::from([
        (("f".into(), Role::default()), res("cpus:3;ports:[1-2]")),
        (("g".into(), Role::default()), res("cpus:3;ports:[2-3]")),
    ]);
    bench.0.add_agent(&"a".into(), res("cpus:4;mem:64;ports:[1-4]"), &used);
    assert_eq!(bench.allocate(0), ["f * a mem:64;ports:[4-4]"]);
    bench.recover(0, ["g", "*", "a", "cpus:3;ports:[2-3]"], None);
    assert_eq!(bench.allocate(1), ["f * a cpus:1;ports:[3-3]"], "port 2 is still f's");
    bench.0.update_agent(&"a".into(), res("cpus:1"));
    bench.recover(1, ["f", "*", "a", "cpus:2"], None);
    assert!(bench.allocate(2).is_empty());
    bench.recover(2, ["f", "*", "a", "cpus:1.5"], None);
    assert_eq!(bench.allocate(3), ["f * a cpus:0.5"]);
}

#[test]
fn the_same_seed_gives_the_same_grants() {
    let run = |seed: u64| {
        let mut bench = Bench(Hierarchical::new(AllocatorConfig::default(), seed));
        for framework in ["f", "g", "h"] {
            bench.framework(framework, &["q", "r"]);
        }
        for agent in 0..20 {
            bench.agent(&format!("a{agent}"), &format!("cpus:{};mem:64", 1 + agent % 3));
        }
        bench.grants(0)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
