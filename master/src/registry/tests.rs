use super::*;
use crate::core::limits::MAX_UNREACHABLE_AGENTS;

#[test]
fn the_oldest_of_too_many_unreachable_agents_is_forgotten() {
    let mut state = State::default();
    let agent = |number: usize| AgentInfo {
        hostname: String::new(),
        port: 1,
        resources: Default::default(),
        attributes: Default::default(),
        id: Some(AgentId::from(format!("S{number}"))),
    };
    for number in 0..=MAX_UNREACHABLE_AGENTS {
        // The one in the middle is the oldest.
        let since = UnixTime(if number == 500 { 1 } else { 2 });
        state.apply(&Operation::AdmitAgent { agent: Arc::new(agent(number)) });
        let agent_id = AgentId::from(format!("S{number}"));
        state.apply(&Operation::MarkAgentUnreachable { agent_id, since });
    }
    assert_eq!((state.admitted.len(), state.unreachable.len()), (0, MAX_UNREACHABLE_AGENTS));
    assert!(!state.unreachable.contains_key(&AgentId::from("S500")));
}

#[test]
fn what_operators_ask_for_is_kept() {
    let mut state = State::default();
    let info = AgentInfo {
        hostname: String::new(),
        port: 1,
        resources: Default::default(),
        attributes: Default::default(),
        id: Some("S0".into()),
    };
    state.apply(&Operation::AdmitAgent { agent: Arc::new(info) });
    state.apply(&Operation::MarkAgentGone { agent_id: "S0".into(), since: UnixTime(7) });
    assert!(state.admitted.is_empty());
    assert_eq!(state.gone, BTreeMap::from([("S0".into(), UnixTime(7))]));
    let weights = |list: &[(&str, u64)]| {
        list.iter().map(|(role, weight)| (Role::from(*role), *weight)).collect::<BTreeMap<_, _>>()
    };
    state.apply(&Operation::UpdateWeights { weights: weights(&[("a", 2500), ("b", 1)]) });
    state.apply(&Operation::UpdateWeights { weights: weights(&[("b", 2)]) });
    assert_eq!(state.weights, weights(&[("a", 2500), ("b", 2)]));
    // The next master begins with them.
    let allocator = crate::core::allocator::Hierarchical::new(Default::default(), 1);
    let config = crate::core::MasterConfig { weights: weights(&[("c", 3)]), ..Default::default() };
    let mut master = crate::core::Master::new(config, 1, Default::default(), Box::new(allocator));
    assert_eq!(*master.weights(), weights(&[("c", 3)]), "by the flag");
    master.recover(Default::default(), &state);
    assert_eq!(*master.weights(), state.weights);
    assert_eq!(master.gone_agents().count(), 1);
}
