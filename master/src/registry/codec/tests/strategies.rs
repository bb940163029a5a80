//! Operations at random. Their ids are few, so that they meet.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use protocol::limits::MAX_SCALAR_MILLIS;
use protocol::resources::{Reservation, ReservationKind, Value};
use protocol::{
    AgentId, AgentInfo, Attribute, AttributeValue, Attributes, Capability, FrameworkId, FrameworkInfo, Label,
    Resource, Resources, Role, Scalar, UnixTime, Uuid,
};

use crate::registry::{ClusterId, DiskId, Drain, Leader, Machine, MemberId, Operation, Quota, State, Window};

/// What they make of an empty registry.
pub(super) fn applied(operations: &[Operation]) -> State {
    let mut state = State::default();
    operations.iter().for_each(|operation| state.apply(operation));
    state
}

pub(super) fn an_operation() -> impl Strategy<Value = Operation> {
    let of_agents = agent_operation();
    let of_frameworks = prop_oneof![
        (a_framework(), time())
            .prop_map(|(framework, at)| Operation::SubscribeFramework { framework: Arc::new(framework), at }),
        (framework_id(), time())
            .prop_map(|(framework_id, since)| Operation::DisconnectFramework { framework_id, since }),
        (framework_id(), time())
            .prop_map(|(framework_id, at)| Operation::RemoveFramework { framework_id, at }),
    ];
    let quota =
        (some_resources(), some_resources()).prop_map(|(guarantees, limits)| Quota { guarantees, limits });
    let window = (vec(a_machine(), 0..3), time(), of(span()))
        .prop_map(|(machines, start, duration)| Window { machines, start, duration });
    let of_plans = prop_oneof![
        btree_map(role(), any::<u64>(), 0..3).prop_map(|weights| Operation::UpdateWeights { weights }),
        btree_map(role(), quota, 0..3).prop_map(|quotas| Operation::UpdateQuotas { quotas }),
        vec(window, 0..3).prop_map(|windows| Operation::UpdateSchedule { windows }),
        vec(a_machine(), 0..3).prop_map(|machines| Operation::StartMaintenance { machines }),
        vec(a_machine(), 0..3).prop_map(|machines| Operation::StopMaintenance { machines }),
    ];
    prop_oneof![4 => of_agents, 3 => of_frameworks, 2 => of_plans, 3 => master_operation()]
}

fn agent_operation() -> impl Strategy<Value = Operation> {
    let drain = (of(span()), any::<bool>(), any::<bool>())
        .prop_map(|(max_grace_period, mark_gone, drained)| Drain { max_grace_period, mark_gone, drained });
    prop_oneof![
        4 => an_agent().prop_map(|agent| Operation::AdmitAgent { agent: Arc::new(agent) }),
        1 => an_agent().prop_map(|agent| Operation::UpdateAgent { agent: Arc::new(agent) }),
        1 => an_agent().prop_map(|agent| Operation::MarkAgentReachable { agent: Arc::new(agent) }),
        2 => (agent_id(), time())
            .prop_map(|(agent_id, since)| Operation::MarkAgentUnreachable { agent_id, since }),
        1 => agent_id().prop_map(|agent_id| Operation::RemoveAgent { agent_id }),
        1 => (agent_id(), time()).prop_map(|(agent_id, since)| Operation::MarkAgentGone { agent_id, since }),
        1 => agent_id().prop_map(|agent_id| Operation::DeactivateAgent { agent_id }),
        1 => agent_id().prop_map(|agent_id| Operation::ReactivateAgent { agent_id }),
        1 => (agent_id(), drain).prop_map(|(agent_id, drain)| Operation::DrainAgent { agent_id, drain }),
        1 => agent_id().prop_map(|agent_id| Operation::MarkAgentDrained { agent_id }),
        1 => (vec(agent_id(), 0..3), vec(agent_id(), 0..3))
            .prop_map(|(unreachable, gone)| Operation::Prune { unreachable, gone }),
    ]
}

fn master_operation() -> impl Strategy<Value = Operation> {
    let uuid = || any::<u128>().prop_map(Uuid::from_random);
    let leader = (member(), any::<u64>(), text(), text(), text(), time()).prop_map(
        |(id, term, pid, hostname, version, since)| Leader { id, term, pid, hostname, version, since },
    );
    prop_oneof![
        uuid().prop_map(|id| Operation::Found { cluster: ClusterId(id) }),
        leader.prop_map(|leader| Operation::Lead { leader }),
        (member(), text()).prop_map(|(id, address)| Operation::AddMaster { id, address }),
        member().prop_map(|id| Operation::RemoveMaster { id }),
        (member(), member(), text()).prop_map(|(old, new, address)| Operation::ReplaceMaster {
            old,
            new,
            address
        }),
        (member(), uuid(), any::<u32>()).prop_map(|(id, disk, version)| Operation::IdentifyMaster {
            id,
            disk: DiskId(disk),
            version
        }),
    ]
}

fn member() -> impl Strategy<Value = MemberId> {
    prop_oneof![4 => 1..5u64, 1 => any::<u64>()].prop_map(MemberId)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,6}", "\\PC{1,4}"]
}

fn agent_id() -> impl Strategy<Value = AgentId> {
    "S[0-5]".prop_map(AgentId::from)
}

fn framework_id() -> impl Strategy<Value = FrameworkId> {
    "F[0-5]".prop_map(FrameworkId::from)
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just("*".to_owned()), "[a-c](/[a-c])?"].prop_map(Role::from)
}

fn time() -> impl Strategy<Value = UnixTime> {
    any::<u64>().prop_map(UnixTime)
}

fn span() -> impl Strategy<Value = Duration> {
    (prop_oneof![0..9u64, any::<u64>()], 0..1_000_000_000u32)
        .prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn a_machine() -> impl Strategy<Value = Machine> {
    ("[ab]?", "[12]?").prop_map(|(hostname, ip)| Machine { hostname, ip })
}

fn ranges() -> impl Strategy<Value = protocol::Ranges> {
    let number = || prop_oneof![0..20u64, any::<u64>()];
    vec((number(), number()), 0..4).prop_map(|all| all.into_iter().collect())
}

/// Also such that validation refuses.
fn some_resources() -> impl Strategy<Value = Resources> {
    let value = prop_oneof![
        (0..=MAX_SCALAR_MILLIS / 8).prop_map(|millis| Value::Scalar(Scalar::from_millis(millis))),
        ranges().prop_map(Value::Ranges),
        btree_set(text(), 0..4).prop_map(Value::Set),
    ];
    let reservation = (any::<bool>(), role(), of(text())).prop_map(|(fixed, role, principal)| Reservation {
        kind: if fixed { ReservationKind::Static } else { ReservationKind::Dynamic },
        role,
        principal,
    });
    let name = prop_oneof!["cpus", "ports", "zones", "\\PC{0,3}"];
    let one = (name, vec(reservation, 0..3), any::<bool>(), value).prop_map(
        |(name, reservations, revocable, value)| Resource {
            reservations,
            revocable,
            ..Resource::new(name, value)
        },
    );
    vec(one, 0..4).prop_map(|all| all.into_iter().collect())
}

prop_compose! {
    fn an_agent()(
        id in of(agent_id()),
        hostname in text(),
        port in any::<u16>(),
        resources in some_resources(),
        attributes in vec((text(), prop_oneof![
            (0..=MAX_SCALAR_MILLIS).prop_map(|millis| AttributeValue::Scalar(Scalar::from_millis(millis))),
            ranges().prop_map(AttributeValue::Ranges),
            text().prop_map(AttributeValue::Text),
        ]), 0..3),
    ) -> AgentInfo {
        let attributes = attributes.into_iter().map(|(name, value)| Attribute { name, value }).collect();
        AgentInfo { hostname, port, resources, attributes: Attributes(attributes), id }
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
    fn a_framework()(
        id in of(framework_id()),
        texts in (text(), text(), of(text()), of(text()), of(text())),
        failover_timeout in span(),
        checkpoint in any::<bool>(),
        roles in btree_set(role(), 0..4),
        capabilities in proptest::sample::subsequence(CAPABILITIES.to_vec(), 0..=8),
        labels in vec((text(), of(text())).prop_map(|(key, value)| Label { key, value }), 0..3),
    ) -> FrameworkInfo {
        let (user, name, hostname, principal, webui_url) = texts;
        FrameworkInfo {
            user,
            name,
            id,
            failover_timeout,
            checkpoint,
            roles,
            hostname,
            principal,
            webui_url,
            capabilities: capabilities.into_iter().collect(),
            labels,
        }
    }
}
