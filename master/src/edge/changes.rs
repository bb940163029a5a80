//! The older endpoints that change something. What they ask for that we can't do yet is refused as Mesos would where
//! that is true, else with 501.

use libactor::http::{HttpRequest, HttpResponse, Method, StatusCode};
use protocol::wire;
use protocol::wire::v1::quota::QuotaRequest;
use protocol::{AgentId, FrameworkId, Role, validate};

use super::Api;
use super::answers::{bad_request, not_implemented};
use super::operator::{self, missing};
use crate::core::OperatorRequest;

/// `/teardown`.
pub(crate) async fn teardown(api: &Api, request: HttpRequest) -> HttpResponse {
    if let Some(refusal) = only_post(&request) {
        return refusal;
    }
    let form = request.form();
    match form.get("frameworkId") {
        Some(id) => {
            let framework_id = FrameworkId::from(id.as_str());
            operator::ask(api, OperatorRequest::Teardown { framework_id }).await
        }
        None => missing_parameter("frameworkId"),
    }
}

/// `/reserve`, `/unreserve`, `/create-volumes`, `/destroy-volumes`; `what` is the parameter beside the agent.
pub(crate) async fn resources(api: &Api, request: HttpRequest, name: &str, what: &str) -> HttpResponse {
    if let Some(refusal) = only_post(&request) {
        return refusal;
    }
    let form = request.form();
    let Some(id) = form.get("slaveId") else { return missing_parameter("slaveId") };
    let answer = missing::on_agent(api, AgentId::from(id.as_str()), missing::NO_SUCH_AGENT, name).await;
    if answer.status == StatusCode::NOT_IMPLEMENTED && !form.contains_key(what) {
        return missing_parameter(what);
    }
    answer
}

/// `/quota`: there is none.
pub(crate) fn quota(request: &HttpRequest) -> HttpResponse {
    match request.method {
        Method::GET | Method::HEAD => nothing(),
        Method::POST => match wire::decode_object::<QuotaRequest>(&request.body) {
            Ok(quota) => {
                let role = quota.role.unwrap_or_default();
                match validate::role(&Role::from(role.as_str())) {
                    Ok(()) => not_implemented("SET_QUOTA"),
                    Err(invalid) => {
                        let reason = "Failed to validate set quota request: QuotaInfo with invalid role";
                        bad_request(format!("{reason}: {invalid}"))
                    }
                }
            }
            Err(error) => {
                let body = String::from_utf8_lossy(&request.body);
                let reason = error.reason();
                bad_request(format!("Failed to parse set quota request JSON '{body}': {reason}"))
            }
        },
        Method::DELETE => {
            let role = request.rest.trim_start_matches('/');
            bad_request(format!(
                "Failed to remove quota for path '/{}{}': Role '{role}' has no quota set",
                request.actor, request.path
            ))
        }
        _ => HttpResponse::method_not_allowed(&[Method::GET, Method::POST, Method::DELETE], &request.method),
    }
}

/// An empty object: none of it is there.
fn nothing() -> HttpResponse {
    HttpResponse::json(&serde_json::Map::new())
}

fn only_post(request: &HttpRequest) -> Option<HttpResponse> {
    (request.method != Method::POST)
        .then(|| HttpResponse::method_not_allowed(&[Method::POST], &request.method))
}

fn missing_parameter(name: &str) -> HttpResponse {
    bad_request(format!("Missing '{name}' query parameter in the request body"))
}
