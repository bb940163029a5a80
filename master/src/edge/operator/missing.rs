//! What Mesos can do and we can't yet. What Mesos would refuse is refused in its words; the rest with 501.

use std::collections::BTreeMap;

use libactor::http::{HttpResponse, StatusCode};
use protocol::AgentId;
use protocol::wire::v1::master::{Call, call::Type};
use protocol::wire::v1::quota::QuotaConfig;
use protocol::wire::v1::value;

use super::super::Api;
use super::super::answers::{bad_request, not_implemented, unavailable};

/// Answers such a call.
pub(super) async fn answer(api: &Api, call: &Call) -> HttpResponse {
    let kind = call.r#type();
    let name = kind.as_str_name();
    match kind {
        Type::Unknown => HttpResponse::text(StatusCode::NOT_IMPLEMENTED, "501 Not Implemented."),
        Type::ReserveResources
        | Type::UnreserveResources
        | Type::CreateVolumes
        | Type::DestroyVolumes
        | Type::GrowVolume
        | Type::ShrinkVolume => on_agent(api, agent_of(call), NO_SUCH_AGENT, name).await,
        Type::UpdateQuota => {
            let configs = call.update_quota.clone().unwrap_or_default().quota_configs;
            match configs.iter().find_map(refused_quota) {
                Some(reason) => bad_request(reason),
                None => not_implemented(name),
            }
        }
        _ => not_implemented(name),
    }
}

/// What Mesos says of an agent that it does not know.
pub(crate) const NO_SUCH_AGENT: &str = "No agent found with specified ID";

fn agent_of(call: &Call) -> AgentId {
    let reserve = call.reserve_resources.as_ref().map(|call| &call.agent_id);
    let unreserve = call.unreserve_resources.as_ref().map(|call| &call.agent_id);
    let create = call.create_volumes.as_ref().map(|call| &call.agent_id);
    let destroy = call.destroy_volumes.as_ref().map(|call| &call.agent_id);
    let grow = call.grow_volume.as_ref().and_then(|call| call.agent_id.as_ref());
    let shrink = call.shrink_volume.as_ref().and_then(|call| call.agent_id.as_ref());
    let all = [reserve, unreserve, create, destroy, grow, shrink];
    let named = all.into_iter().flatten().next();
    named.map_or_else(|| AgentId::from(""), |id| AgentId::from(id.value.as_str()))
}

/// What can't be done with an agent yet; with one that is not there it never could.
pub(crate) async fn on_agent(api: &Api, id: AgentId, unknown: &str, name: &str) -> HttpResponse {
    let Some(snapshot) = api.view.ask().await else { return unavailable() };
    if snapshot.agents.get(&id).is_some() { not_implemented(name) } else { bad_request(unknown.to_owned()) }
}

/// What is wrong with a quota, whoever sets it.
fn refused_quota(config: &QuotaConfig) -> Option<String> {
    let role = &config.role;
    if role.contains('/') {
        return Some(format!("Updating quota on nested role '{role}' is not supported yet"));
    }
    let exceeds = |name: &String, guarantee: &value::Scalar| {
        config.limits.get(name).is_some_and(|limit| guarantee.value > limit.value)
    };
    config.guarantees.iter().any(|(name, guarantee)| exceeds(name, guarantee)).then(|| {
        format!(
            "Invalid QuotaConfig: 'QuotaConfig.guarantees' {} is not contained within the 'QuotaConfig.limits' {}",
            amounts(&config.guarantees),
            amounts(&config.limits)
        )
    })
}

fn amounts(amounts: &BTreeMap<String, value::Scalar>) -> String {
    let all: Vec<_> = amounts.iter().map(|(name, amount)| format!("{name}: {}", amount.value)).collect();
    format!("{{ {} }}", all.join("; "))
}
