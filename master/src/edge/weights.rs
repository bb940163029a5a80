//! Weights of roles: `GET /weights`, `PUT /weights`, and what UPDATE_WEIGHTS says.

use std::collections::BTreeMap;

use libactor::http::{HttpRequest, HttpResponse, Method};
use protocol::wire::{self, v1};
use protocol::{Role, Scalar};

use super::Api;
use super::answers::{bad_request, unavailable};
use super::operator;
use super::v0::list::List;
use crate::core::OperatorRequest;

/// A weight as `/weights` shows it: in the order of names, unlike GET_WEIGHTS.
#[derive(serde::Serialize)]
struct Shown<'a> {
    role: &'a Role,
    weight: f64,
}

/// Answers a request.
pub(crate) async fn respond(api: &Api, request: HttpRequest) -> HttpResponse {
    match request.method {
        Method::GET | Method::HEAD => {
            let Some(snapshot) = api.view.ask().await else { return unavailable() };
            let shown = || {
                let weights = snapshot.weights.iter();
                weights.map(|(role, weight)| Shown { role, weight: Scalar::from_millis(*weight).as_f64() })
            };
            HttpResponse::json(&List(shown))
        }
        Method::PUT => {
            let infos = wire::decode_list::<v1::WeightInfo>(&request.body).map_err(|error| {
                let body = String::from_utf8_lossy(&request.body);
                format!("Failed to parse update weights request JSON '{body}': {}", error.reason())
            });
            match infos.and_then(parse) {
                Ok(weights) => operator::ask(api, OperatorRequest::UpdateWeights { weights }).await,
                Err(reason) => bad_request(reason),
            }
        }
        other => HttpResponse::method_not_allowed(&[Method::GET, Method::PUT], &other),
    }
}

/// Weights in thousandths. Source of the sentences: Mesos `WeightsHandler`. Whose weights may be set is the machine's to say.
pub(crate) fn parse(infos: Vec<v1::WeightInfo>) -> Result<BTreeMap<Role, u64>, String> {
    let mut weights = BTreeMap::new();
    for info in infos {
        let role = info.role.unwrap_or_default();
        let role = role.trim().to_owned();
        let refuse = |why: String| {
            Err(format!("Failed to validate update weights request JSON for role '{role}': {why}"))
        };
        if info.weight.is_nan() || info.weight <= 0.0 {
            return refuse(format!("Invalid weight '{}': Weights must be positive", info.weight));
        }
        match Scalar::from_f64(info.weight) {
            Ok(weight) if weight.millis() > 0 => weights.insert(Role::from(role), weight.millis()),
            _ => return refuse(format!("Invalid weight '{}': it is out of range", info.weight)),
        };
    }
    Ok(weights)
}
