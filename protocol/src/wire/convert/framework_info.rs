//! Who asks for resources.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{ids, labels, labels_to_wire};
use crate::limits::{MAX_DURATION_NANOS, MAX_NAMED};
use crate::wire::v1;
use crate::{Capability, FrameworkInfo, Role, validate};
use v1::framework_info::Capability as Wire;
use v1::framework_info::capability::Type;

/// The capabilities and their numbers.
const CAPABILITIES: [(Capability, Type); 8] = [
    (Capability::RevocableResources, Type::RevocableResources),
    (Capability::TaskKillingState, Type::TaskKillingState),
    (Capability::GpuResources, Type::GpuResources),
    (Capability::SharedResources, Type::SharedResources),
    (Capability::PartitionAware, Type::PartitionAware),
    (Capability::MultiRole, Type::MultiRole),
    (Capability::ReservationRefinement, Type::ReservationRefinement),
    (Capability::RegionAware, Type::RegionAware),
];

/// A framework. Without a role it has `*`; capabilities that nobody knows are passed over; a negative failover timeout is
/// none. Offer filters are not understood, and passed over.
///
/// # Errors
/// Says in Mesos's words what won't do: roles that are none, twice there, or in the field for the other kind of framework; a
/// failover timeout beyond 292 years.
pub fn framework_info(info: v1::FrameworkInfo) -> Result<FrameworkInfo, String> {
    let capabilities: BTreeSet<Capability> = info.capabilities.iter().filter_map(capability).collect();
    let roles = roles(info.role, info.roles, capabilities.contains(&Capability::MultiRole))?;
    Ok(FrameworkInfo {
        user: info.user,
        name: info.name,
        id: ids::present(info.id.map(|id| id.value)),
        failover_timeout: failover_timeout(info.failover_timeout.unwrap_or_default())?,
        checkpoint: info.checkpoint.unwrap_or_default(),
        roles,
        hostname: info.hostname,
        principal: info.principal,
        webui_url: info.webui_url,
        capabilities,
        labels: labels(info.labels),
    })
}

fn capability(wire: &Wire) -> Option<Capability> {
    CAPABILITIES.iter().find(|(_, kind)| *kind == wire.r#type()).map(|(capability, _)| *capability)
}

fn roles(one: Option<String>, several: Vec<String>, multi_role: bool) -> Result<BTreeSet<Role>, String> {
    if multi_role && one.is_some() {
        return Err(
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable".to_owned()
        );
    }
    if !multi_role && !several.is_empty() {
        return Err(validate::SEVERAL_ROLES.to_owned());
    }
    let mut roles = BTreeSet::new();
    let mut repeated: BTreeSet<&str> = BTreeSet::new();
    for name in one.iter().chain(&several) {
        if !roles.insert(Role::from(name.as_str())) {
            repeated.insert(name);
        }
    }
    if !repeated.is_empty() {
        let repeated =
            repeated.into_iter().take(MAX_NAMED).map(validate::shown).collect::<Vec<_>>().join(", ");
        return Err(format!("'FrameworkInfo.roles' contains duplicate items: {{ {repeated} }}"));
    }
    // In the order in which they were given: the first that is wrong is told.
    for name in one.into_iter().chain(several) {
        validate::framework_role(&Role::from(name), multi_role).map_err(|why| why.0)?;
    }
    if roles.is_empty() {
        roles.insert(Role::default());
    }
    Ok(roles)
}

fn failover_timeout(seconds: f64) -> Result<Duration, String> {
    let most = Duration::from_nanos(MAX_DURATION_NANOS);
    if seconds.is_nan() || seconds.abs() > most.as_secs_f64() {
        return Err(format!("The framework failover_timeout ({}) is invalid", general(seconds)));
    }
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(most).min(most))
}

/// A number as C++ streams print it: six digits, the exponent where they don't reach.
fn general(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() || number == 0.0 {
        return number.to_string();
    }
    let scientific = format!("{number:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let trimmed = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or_default();
        return trimmed(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

/// A framework: one that has MULTI_ROLE says its roles in `roles`, another its one in `role`.
pub fn framework_info_to_wire(info: &FrameworkInfo) -> v1::FrameworkInfo {
    let multi_role = info.can(Capability::MultiRole);
    let names = || info.roles.iter().map(Role::to_string);
    let of = |capability: &Capability| CAPABILITIES.iter().find(|(ours, _)| ours == capability);
    let capability = |(_, kind): &(Capability, Type)| Wire { r#type: Some((*kind).into()) };
    v1::FrameworkInfo {
        user: info.user.clone(),
        name: info.name.clone(),
        id: info.id.as_ref().map(Into::into),
        failover_timeout: Some(info.failover_timeout.as_secs_f64()),
        checkpoint: Some(info.checkpoint),
        role: if multi_role { None } else { names().next() },
        roles: if multi_role { names().collect() } else { Vec::new() },
        hostname: info.hostname.clone(),
        principal: info.principal.clone(),
        webui_url: info.webui_url.clone(),
        capabilities: info.capabilities.iter().filter_map(of).map(capability).collect(),
        labels: labels_to_wire(&info.labels),
        offer_filters: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_streams_of_cpp_print_them() {
        for (number, text) in [
            (1e30, "1e+30"),
            (-1.5e300, "-1.5e+300"),
            (9_223_372_037.0, "9.22337e+09"),
            (123_456.0, "123456"),
            (999_999.9, "1e+06"),
            (0.5, "0.5"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (0.0, "0"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(general(number), text);
        }
    }
}
