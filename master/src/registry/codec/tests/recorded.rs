//! What this version has once written stays readable. The files in `recorded/` are never written anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::{AgentInfo, Capability, FrameworkInfo, Label, Role, UnixTime, Uuid};

use super::*;
use crate::registry::{ClusterId, DiskId, Drain, Leader, Machine, MemberId, Quota, Window};

const OPERATIONS: &[u8] = include_bytes!("../recorded/operations-1.bin");
const STATE: &[u8] = include_bytes!("../recorded/state-1.bin");

fn agent(id: &str) -> Arc<AgentInfo> {
    Arc::new(AgentInfo {
        hostname: "h1".into(),
        port: 5051,
        resources: "cpus:4.125;mem:2048;cpus(prod):1;ports:[31000-31009,31020-31029];zones:{a,b}"
            .parse()
            .unwrap(),
        attributes: "rack:r1;level:10;ports:[1-3]".parse().unwrap(),
        id: Some(id.into()),
    })
}

fn framework(id: &str) -> Arc<FrameworkInfo> {
    Arc::new(FrameworkInfo {
        user: "root".into(),
        id: Some(id.into()),
        failover_timeout: Duration::new(3600, 7),
        checkpoint: true,
        roles: [Role::from("a"), Role::from("b/c")].into(),
        hostname: Some("h2".into()),
        principal: Some("p".into()),
        webui_url: Some("http://h2".into()),
        capabilities: [Capability::MultiRole, Capability::PartitionAware].into(),
        labels: vec![Label { key: "k".into(), value: None }],
        ..FrameworkInfo::new("f")
    })
}

/// One of each, of the first version.
fn operations() -> Vec<Operation> {
    let time = UnixTime;
    let drain = Drain { max_grace_period: Some(Duration::from_secs(60)), mark_gone: true, drained: false };
    let machine = |hostname: &str| Machine { hostname: hostname.into(), ip: "10.0.0.1".into() };
    let machines = vec![machine("h1"), machine("h2")];
    let window =
        Window { machines: machines.clone(), start: time(50), duration: Some(Duration::from_secs(9)) };
    let quota = Quota { guarantees: "cpus:1".parse().unwrap(), limits: "cpus:2;mem:64".parse().unwrap() };
    let leader = Leader {
        id: MemberId(1),
        term: 3,
        pid: "master@10.0.0.1:5050".into(),
        hostname: "m1".into(),
        version: "0.1.0".into(),
        since: time(1_795_000_000_000_000_000),
    };
    let uuid = |byte: u8| Uuid([byte; 16]);
    let address = || "10.0.0.1:5050".to_owned();
    vec![
        Operation::Found { cluster: ClusterId(uuid(1)) },
        Operation::Lead { leader },
        Operation::AddMaster { id: MemberId(1), address: address() },
        Operation::AddMaster { id: MemberId(2), address: address() },
        Operation::AddMaster { id: MemberId(3), address: address() },
        Operation::IdentifyMaster { id: MemberId(1), disk: DiskId(uuid(2)), version: 1 },
        Operation::RemoveMaster { id: MemberId(2) },
        Operation::ReplaceMaster { old: MemberId(3), new: MemberId(4), address: address() },
        Operation::AdmitAgent { agent: agent("S0") },
        Operation::AdmitAgent { agent: agent("S1") },
        Operation::AdmitAgent { agent: agent("S2") },
        Operation::AdmitAgent { agent: agent("S3") },
        Operation::UpdateAgent { agent: agent("S0") },
        Operation::DeactivateAgent { agent_id: "S0".into() },
        Operation::DrainAgent { agent_id: "S1".into(), drain },
        Operation::MarkAgentDrained { agent_id: "S1".into() },
        Operation::MarkAgentUnreachable { agent_id: "S1".into(), since: time(7) },
        Operation::MarkAgentUnreachable { agent_id: "S2".into(), since: time(8) },
        Operation::MarkAgentReachable { agent: agent("S2") },
        Operation::ReactivateAgent { agent_id: "S2".into() },
        Operation::MarkAgentGone { agent_id: "S3".into(), since: time(9) },
        Operation::RemoveAgent { agent_id: "S4".into() },
        Operation::Prune { unreachable: vec!["S5".into()], gone: vec!["S6".into(), "S7".into()] },
        Operation::SubscribeFramework { framework: framework("F0"), at: time(10) },
        Operation::SubscribeFramework { framework: framework("F1"), at: time(11) },
        Operation::DisconnectFramework { framework_id: "F0".into(), since: time(12) },
        Operation::RemoveFramework { framework_id: "F1".into(), at: time(13) },
        Operation::UpdateWeights { weights: BTreeMap::from([("a".into(), 2500)]) },
        Operation::UpdateQuotas { quotas: BTreeMap::from([("a".into(), quota)]) },
        Operation::UpdateSchedule { windows: vec![window] },
        Operation::StartMaintenance { machines },
        Operation::StopMaintenance { machines: vec![machine("h2")] },
    ]
}

#[test]
fn what_the_first_version_wrote_is_read() {
    assert_eq!(decode_operations(OPERATIONS), Ok(operations()));
    let state = decode_state(STATE).unwrap();
    assert_eq!(state, strategies::applied(&operations()));
    // While nothing newer is in it, it is also written so: masters of both versions hold the same bytes.
    assert_eq!(encode_state(&state), STATE);
}

#[test]
fn the_recorded_operations_are_one_of_each() {
    let names: std::collections::BTreeSet<String> = operations()
        .iter()
        .map(|operation| format!("{operation:?}").split([' ', '{']).next().unwrap().to_owned())
        .collect();
    // Whoever adds an operation adds a file of its version.
    assert_eq!(names.len(), 25);
}

#[test]
fn people_see_it_in_the_shape_of_mesos() {
    let shown: serde_json::Value =
        serde_json::from_str(&crate::registry::json(&decode_state(STATE).unwrap())).unwrap();
    let expected: serde_json::Value = serde_json::from_str(include_str!("../recorded/state-1.json")).unwrap();
    assert_eq!(shown, expected);
}
