//! The registry as bytes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::State;

/// Bytes that can't be understood: why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// A registry as bytes.
pub fn encode_state(state: &State) -> Vec<u8> {
    let value = (
        (&state.cluster, pairs(&state.masters), pairs(&state.former_masters), &state.leader),
        (pairs(&state.admitted), pairs(&state.unreachable), pairs(&state.gone)),
        (pairs(&state.frameworks), pairs(&state.removed_frameworks), pairs(&state.weights)),
        (pairs(&state.quotas), &state.maintenance, &state.machines_down),
    );
    serde_json::to_vec(&value).expect("all of it can be written as JSON")
}

/// The registry that these bytes hold.
///
/// # Errors
/// They hold none, or a newer one.
pub fn decode_state(bytes: &[u8]) -> Result<State, Unreadable> {
    let (a, b, c, d) = serde_json::from_slice(bytes).map_err(|error| Unreadable(error.to_string()))?;
    let ((cluster, masters, former_masters, leader), (admitted, unreachable, gone)) = (a, b);
    let ((frameworks, removed_frameworks, weights), (quotas, maintenance, machines_down)) = (c, d);
    Ok(State {
        cluster,
        masters: map(masters),
        former_masters: map(former_masters),
        leader,
        admitted: map(admitted),
        unreachable: map(unreachable),
        gone: map(gone),
        frameworks: map(frameworks),
        removed_frameworks: map(removed_frameworks),
        weights: map(weights),
        quotas: map(quotas),
        maintenance,
        machines_down,
    })
}

fn pairs<K: Serialize, V: Serialize>(map: &BTreeMap<K, V>) -> Vec<(&K, &V)> {
    map.iter().collect()
}

fn map<K: Ord + DeserializeOwned, V: DeserializeOwned>(pairs: Vec<(K, V)>) -> BTreeMap<K, V> {
    pairs.into_iter().collect()
}
