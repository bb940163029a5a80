//! Values of the vocabulary at random, as far as the wire has words for them.

use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;

use crate::command::{Command, Environment, Uri};
use crate::limits::{MAX_DURATION_NANOS, MAX_SCALAR_MILLIS};
use crate::resources::{Reservation, ReservationKind, Scalar, Value};
use crate::wire::v1;
use crate::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,6}", "\\PC{1,4}"]
}

/// Of an identity that may be absent: absent and empty are the same.
fn name() -> impl Strategy<Value = String> {
    "[a-z]{1,6}"
}

pub(super) fn a_span() -> impl Strategy<Value = Duration> {
    prop_oneof![0..=3_600_000_000_000u64, 0..=MAX_DURATION_NANOS].prop_map(Duration::from_nanos)
}

fn bytes() -> impl Strategy<Value = ::bytes::Bytes> {
    vec(any::<u8>(), 0..8).prop_map(Into::into)
}

fn labels() -> impl Strategy<Value = Vec<Label>> {
    vec((text(), of(text())).prop_map(|(key, value)| Label { key, value }), 0..3)
}

fn reservations() -> impl Strategy<Value = Vec<Reservation>> {
    let one = |kind, role: &str, principal| Reservation { kind, role: role.into(), principal };
    prop_oneof![
        3 => Just(Vec::new()),
        1 => Just(vec![one(ReservationKind::Static, "a", None)]),
        1 => of(text()).prop_map(move |p| vec![one(ReservationKind::Dynamic, "b", p)]),
        1 => of(text()).prop_map(move |p| vec![
            one(ReservationKind::Static, "a", None),
            one(ReservationKind::Dynamic, "a/b", p.clone()),
            one(ReservationKind::Dynamic, "a/b/c", p),
        ]),
    ]
}

fn a_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![0..20u64, any::<u64>()];
    let range = (number.clone(), number).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        (0..=MAX_SCALAR_MILLIS / 8).prop_map(|millis| Value::Scalar(Scalar::from_millis(millis))),
        vec(range, 0..4).prop_map(|ranges| Value::Ranges(ranges.into_iter().collect())),
        btree_set(text(), 0..4).prop_map(Value::Set),
    ]
}

pub(super) fn some_resources() -> impl Strategy<Value = Resources> {
    let one = (prop_oneof!["cpus", "ports", "zones"], reservations(), any::<bool>(), a_value());
    let one = one.prop_map(|(name, reservations, revocable, value)| Resource {
        reservations,
        revocable,
        ..Resource::new(name, value)
    });
    vec(one, 0..5).prop_map(|all| all.into_iter().collect())
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let value = prop_oneof![
        (0..=MAX_SCALAR_MILLIS).prop_map(|millis| AttributeValue::Scalar(Scalar::from_millis(millis))),
        vec((0..9u64, 9..20u64), 0..3).prop_map(|all| AttributeValue::Ranges(all.into_iter().collect())),
        text().prop_map(AttributeValue::Text),
    ];
    vec((text(), value).prop_map(|(name, value)| Attribute { name, value }), 0..4).prop_map(Attributes)
}

prop_compose! {
    fn a_uri()(value in text(), flags in any::<[bool; 3]>(), output_file in of(text())) -> Uri {
        Uri { value, executable: flags[0], extract: flags[1], cache: flags[2], output_file }
    }
}

prop_compose! {
    fn a_command()(
        command in prop_oneof![
            text().prop_map(Command::Shell),
            (text(), vec(text(), 0..3)).prop_map(|(path, arguments)| Command::Argv { path, arguments }),
        ],
        environment in vec((text(), text()), 0..3),
        uris in vec(a_uri(), 0..2),
        user in of(text()),
    ) -> CommandInfo {
        CommandInfo { command, environment: Environment(environment), uris, user }
    }
}

fn a_container() -> impl Strategy<Value = v1::ContainerInfo> {
    (1..=2, of(text())).prop_map(|(kind, hostname)| v1::ContainerInfo {
        r#type: kind,
        hostname,
        ..Default::default()
    })
}

fn discovery() -> impl Strategy<Value = v1::DiscoveryInfo> {
    (0..=2, of(text())).prop_map(|(kind, name)| v1::DiscoveryInfo {
        visibility: kind,
        name,
        ..Default::default()
    })
}

prop_compose! {
    pub(super) fn an_executor()(
        ids in (name(), of(name())),
        command in a_command().boxed(),
        resources in some_resources(),
        name in of(text()),
        data in bytes(),
        shutdown_grace_period in of(a_span()),
        labels in labels(),
        unread in (of(Just(2)), of(a_container()), of(discovery()), of(text())),
    ) -> ExecutorInfo {
        let (r#type, container, discovery, source) = unread;
        let unread = v1::ExecutorInfo { r#type, container, discovery, source, ..Default::default() };
        ExecutorInfo {
            executor_id: ids.0.into(),
            framework_id: ids.1.map(Into::into),
            command,
            resources,
            name,
            data,
            shutdown_grace_period,
            labels,
            unread: Carried::new(&unread),
        }
    }
}

/// With all that JSON prints without being asked: carried is what came, and its defaults come too.
fn a_health_check() -> v1::HealthCheck {
    v1::HealthCheck {
        delay_seconds: Some(15.0),
        interval_seconds: Some(10.0),
        timeout_seconds: Some(20.0),
        consecutive_failures: Some(3),
        grace_period_seconds: Some(0.5),
        ..Default::default()
    }
}

/// As above.
fn a_check() -> v1::CheckInfo {
    v1::CheckInfo {
        delay_seconds: Some(0.5),
        interval_seconds: Some(10.0),
        timeout_seconds: Some(20.0),
        ..Default::default()
    }
}

prop_compose! {
    fn carried_of_a_task()(
        container in of(a_container()),
        discovery in of(discovery()),
        checks in any::<[bool; 2]>(),
        limits in proptest::collection::btree_map(text(), any::<u32>(), 0..3),
    ) -> Option<Carried<v1::TaskInfo>> {
        let scalar = |value: u32| v1::value::Scalar { value: value.into() };
        Carried::new(&v1::TaskInfo {
            container,
            discovery,
            health_check: checks[0].then(a_health_check),
            check: checks[1].then(a_check),
            limits: limits.into_iter().map(|(name, value)| (name, scalar(value))).collect(),
            ..Default::default()
        })
    }
}

prop_compose! {
    pub(super) fn a_task()(
        name in text(),
        ids in (name(), name()),
        resources in some_resources(),
        // Boxed: trees of values lie on the stack otherwise.
        executor in of(an_executor().boxed()),
        command in of(a_command().boxed()),
        data in bytes(),
        kill_policy in of(of(a_span()).prop_map(|grace_period| KillPolicy { grace_period })),
        max_completion_time in of(a_span()),
        labels in labels(),
        role in of("[a-z]{1,3}"),
        unread in carried_of_a_task().boxed(),
    ) -> TaskInfo {
        // A role is said by resources alone.
        let any = !resources.is_empty() || executor.as_ref().is_some_and(|own| !own.resources.is_empty());
        TaskInfo {
            name,
            task_id: ids.0.into(),
            agent_id: ids.1.into(),
            resources,
            executor,
            command,
            data,
            kill_policy,
            max_completion_time,
            labels,
            allocated_to: role.filter(|_| any).map(Into::into),
            unread,
            problem: None,
        }
    }
}

prop_compose! {
    pub(super) fn a_status()(
        task_id in name(),
        kinds in (0..14i32, 0..3i32, of(0..35i32)),
        message in of(text()),
        data in bytes(),
        ids in (of(name()), of(name())),
        // Seconds as they stand on the wire: those have fewer digits than a UnixTime.
        seconds in of(prop_oneof![0.0..4e9f64, 1.7e9..1.9e9f64, 0.0..1.8e10f64]),
        uuid in of(any::<u128>()),
        healthy in of(any::<bool>()),
        labels in labels(),
        unreachable_time in of((0..=i64::MAX as u64).prop_map(UnixTime)),
        executor_pid in of(any::<u32>()),
    ) -> TaskStatus {
        let container_status =
            executor_pid.map(|pid| v1::ContainerStatus { executor_pid: Some(pid), ..Default::default() });
        TaskStatus {
            task_id: task_id.into(),
            state: TaskState::from_number(kinds.0).unwrap(),
            message,
            source: Source::from_number(kinds.1).unwrap(),
            reason: kinds.2.map(|number| Reason::from_number(number).unwrap()),
            data,
            agent_id: ids.0.map(Into::into),
            executor_id: ids.1.map(Into::into),
            timestamp: seconds.and_then(crate::wire::convert::seconds),
            uuid: uuid.map(Uuid::from_random),
            healthy,
            labels,
            unreachable_time,
            exit_status: None,
            unread: Carried::new(&v1::TaskStatus { container_status, ..Default::default() }),
        }
    }
}

const CAPABILITIES: [Capability; 8] = [
    Capability::RevocableResources,
    Capability::TaskKillingState,
    Capability::GpuResources,
    Capability::SharedResources,
    Capability::PartitionAware,
    Capability::MultiRole,
    Capability::ReservationRefinement,
    Capability::RegionAware,
];

prop_compose! {
    pub(super) fn a_framework()(
        texts in (text(), text(), of(name()), of(text()), of(text()), of(text())),
        // The wire has a float for it.
        failover_millis in 0..=1_000_000_000u64,
        checkpoint in any::<bool>(),
        roles in btree_set("[a-z]{1,3}(/[a-z]{1,3})?", 1..4),
        capabilities in proptest::sample::subsequence(CAPABILITIES.to_vec(), 0..=8),
        labels in labels(),
    ) -> FrameworkInfo {
        let (user, name, id, hostname, principal, webui_url) = texts;
        let most = if capabilities.contains(&Capability::MultiRole) { roles.len() } else { 1 };
        FrameworkInfo {
            user,
            name,
            id: id.map(Into::into),
            failover_timeout: Duration::from_millis(failover_millis),
            checkpoint,
            roles: roles.into_iter().take(most).map(Into::into).collect(),
            hostname,
            principal,
            webui_url,
            capabilities: capabilities.into_iter().collect(),
            labels,
        }
    }
}

prop_compose! {
    pub(super) fn an_agent()(
        hostname in text(),
        port in any::<u16>(),
        resources in some_resources(),
        attributes in attributes(),
        id in of(name()),
    ) -> AgentInfo {
        AgentInfo { hostname, port, resources, attributes, id: id.map(Into::into) }
    }
}
