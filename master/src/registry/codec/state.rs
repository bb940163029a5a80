//! The state.

use protocol::wire::registry as stored;
use protocol::{AgentId, FrameworkId, UnixTime};

use super::Read;
use super::agents::{agent, agent_to_stored, wish, wish_to_stored};
use super::frameworks::{framework, framework_to_stored};
use super::operations::{
    leader, leader_to_stored, machines, machines_to_stored, mark_agent, mark_framework, quotas,
    quotas_to_stored, weights, weights_to_stored, windows, windows_to_stored,
};
use super::resources::{uuid, uuid_to_stored};
use crate::registry::{Admitted, ClusterId, DiskId, Member, MemberId, State, Subscribed, Unreachable};

/// The oldest version of the registry whose programs can read a state: what it holds decides, not who writes it, so that
/// masters of two versions can hand snapshots to one another while nothing newer is used.
fn version_of(_: &State) -> u32 {
    1
}

pub(super) fn to_stored(state: &State) -> stored::State {
    let disk = |disk: &Option<DiskId>| disk.map(|disk| uuid_to_stored(disk.0));
    let agents = state.admitted.values().map(|admitted| stored::Admitted {
        info: agent_to_stored(&admitted.info),
        wish: wish_to_stored(&admitted.wish),
    });
    let unreachable = state.unreachable.iter().map(|(id, unreachable)| stored::Unreachable {
        agent_id: id.to_string(),
        since: unreachable.since.0,
        wish: wish_to_stored(&unreachable.wish),
    });
    let gone = state.gone.iter().map(|(id, since)| mark_agent(id, *since));
    let frameworks = state.frameworks.values().map(|framework| stored::Subscribed {
        info: framework_to_stored(&framework.info),
        since: framework.since.0,
        disconnected: framework.disconnected.map(|since| since.0),
    });
    let removed = state.removed_frameworks.iter().map(|(id, at)| mark_framework(id, *at));
    let masters = state.masters.iter().map(|(id, member)| stored::Member {
        id: id.0,
        address: member.address.clone(),
        disk: disk(&member.disk),
        version: member.version,
    });
    let former = state.former_masters.iter();
    stored::State {
        version: version_of(state),
        leader: state.leader.as_ref().map(leader_to_stored),
        cluster: state.cluster.map(|cluster| uuid_to_stored(cluster.0)),
        masters: masters.collect(),
        former_masters: former.map(|(id, of)| stored::FormerMember { id: id.0, disk: disk(of) }).collect(),
        admitted: agents.collect(),
        unreachable: unreachable.collect(),
        gone: gone.collect(),
        frameworks: frameworks.collect(),
        removed_frameworks: removed.collect(),
        weights: weights_to_stored(&state.weights),
        quotas: quotas_to_stored(&state.quotas),
        maintenance: windows_to_stored(&state.maintenance),
        machines_down: machines_to_stored(&state.machines_down),
    }
}

pub(super) fn from_stored(stored: stored::State) -> Read<State> {
    let disk = |bytes: Option<bytes::Bytes>| bytes.map(|bytes| uuid(&bytes).map(DiskId)).transpose();
    let master = |stored: stored::Member| {
        let member = Member { address: stored.address, disk: disk(stored.disk)?, version: stored.version };
        Ok((MemberId(stored.id), member))
    };
    let frameworks = stored.frameworks.into_iter().map(subscribed);
    let gone = stored.gone.into_iter().map(|mark| (mark.agent_id.into(), UnixTime(mark.since)));
    let removed = stored.removed_frameworks.into_iter();
    let former = stored.former_masters.into_iter().map(|of| Ok((MemberId(of.id), disk(of.disk)?)));
    Ok(State {
        cluster: stored.cluster.map(|bytes| uuid(&bytes).map(ClusterId)).transpose()?,
        masters: stored.masters.into_iter().map(master).collect::<Read<_>>()?,
        former_masters: former.collect::<Read<_>>()?,
        leader: stored.leader.map(leader),
        admitted: stored.admitted.into_iter().map(admitted).collect::<Read<_>>()?,
        unreachable: stored.unreachable.into_iter().map(unreachable).collect(),
        gone: gone.collect(),
        frameworks: frameworks.collect::<Read<_>>()?,
        removed_frameworks: removed.map(|mark| (mark.framework_id.into(), UnixTime(mark.at))).collect(),
        weights: weights(stored.weights),
        quotas: quotas(stored.quotas)?,
        maintenance: windows(stored.maintenance),
        machines_down: machines(stored.machines_down),
    })
}

fn admitted(stored: stored::Admitted) -> Read<(AgentId, Admitted)> {
    let info = agent(stored.info)?;
    let id = info.id.clone().ok_or("an agent has no id")?;
    Ok((id, Admitted { info, wish: wish(stored.wish) }))
}

fn unreachable(stored: stored::Unreachable) -> (AgentId, Unreachable) {
    let since = UnixTime(stored.since);
    (stored.agent_id.into(), Unreachable { since, wish: wish(stored.wish) })
}

fn subscribed(stored: stored::Subscribed) -> Read<(FrameworkId, Subscribed)> {
    let info = framework(stored.info)?;
    let id = info.id.clone().ok_or("a framework has no id")?;
    let disconnected = stored.disconnected.map(UnixTime);
    Ok((id, Subscribed { info, since: UnixTime(stored.since), disconnected }))
}
