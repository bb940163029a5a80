//! One resource.

use std::collections::BTreeSet;

use crate::Role;
use crate::limits::{MAX_RANGES, MAX_RESERVATIONS, MAX_SET_ITEMS};
use crate::resources::{Ranges, Reservation, ReservationKind, Resource, Scalar, Value, name};
use crate::validate::{self, shown};
use crate::wire::v1;
use v1::resource::reservation_info::Type as Kind;
use v1::value::Type;

type Wire = v1::Resource;

/// A resource.
///
/// # Errors
/// Says what is wrong with it, or what of it is not supported.
pub(super) fn resource(wire: &Wire) -> Result<Resource, String> {
    if wire.name.is_empty() {
        return Err("Empty resource name".to_owned());
    }
    name::check(&wire.name)?;
    let value = value(wire)?;
    unsupported(wire)?;
    Ok(Resource {
        reservations: reservations(wire)?,
        revocable: wire.revocable.is_some(),
        ..Resource::new(wire.name.as_str(), value)
    })
}

/// What would make it another resource, and is not there yet.
fn unsupported(wire: &Wire) -> Result<(), String> {
    if let Some(disk) = &wire.disk {
        if wire.name != "disk" {
            return Err(format!("DiskInfo should not be set for {} resource", shown(&wire.name)));
        }
        return Err(if disk.persistence.is_some() {
            "persistent volumes are not supported yet".to_owned()
        } else if disk.source.is_some() {
            "sources of disks are not supported yet".to_owned()
        } else if disk.volume.is_some() {
            "Non-persistent volume not supported".to_owned()
        } else {
            "DiskInfo is set but empty".to_owned()
        });
    }
    if wire.shared.is_some() {
        return Err("shared resources are not supported yet".to_owned());
    }
    if wire.provider_id.is_some() {
        return Err("resource providers are not supported yet".to_owned());
    }
    Ok(())
}

fn value(wire: &Wire) -> Result<Value, String> {
    match (Type::try_from(wire.r#type), &wire.scalar, &wire.ranges, &wire.set) {
        (Ok(Type::Scalar), Some(amount), None, None) => scalar(amount.value).map(Value::Scalar),
        (Ok(Type::Scalar), ..) => Err("Invalid scalar resource".to_owned()),
        (Ok(Type::Ranges), None, Some(list), None) => ranges(list).map(Value::Ranges),
        (Ok(Type::Ranges), ..) => Err("Invalid ranges resource".to_owned()),
        (Ok(Type::Set), None, None, Some(items)) => set(items).map(Value::Set),
        (Ok(Type::Set), ..) => Err("Invalid set resource".to_owned()),
        (Ok(Type::Text), ..) => Err("Unsupported resource type".to_owned()),
        (Err(_), ..) => Err("Invalid resource type".to_owned()),
    }
}

fn scalar(amount: f64) -> Result<Scalar, String> {
    if amount.is_nan() {
        return Err("Invalid scalar resource: NaN not supported".to_owned());
    }
    if amount.is_infinite() && amount > 0.0 {
        return Err("Invalid scalar resource: Infinite values not supported".to_owned());
    }
    let nothing = || "Invalid scalar resource: value <= 0".to_owned();
    if amount < 0.0 {
        return Err(nothing());
    }
    let scalar = Scalar::from_f64(amount).map_err(|why| format!("Invalid scalar resource: {why}"))?;
    if scalar == Scalar::ZERO && amount != 0.0 { Err(nothing()) } else { Ok(scalar) }
}

/// Ranges, disjoint as they come.
pub(super) fn ranges(list: &v1::value::Ranges) -> Result<Ranges, String> {
    let wrong = |why: &str| Err(format!("Invalid ranges resource: {why}"));
    if list.range.len() > MAX_RANGES {
        return wrong(&format!("more than {MAX_RANGES} ranges"));
    }
    let mut sorted: Vec<(u64, u64)> = list.range.iter().map(|range| (range.begin, range.end)).collect();
    if sorted.iter().any(|(begin, end)| begin > end) {
        return wrong("begin > end");
    }
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[1].0 <= pair[0].1) {
        return wrong("overlapping ranges");
    }
    Ok(sorted.into_iter().collect())
}

fn set(items: &v1::value::Set) -> Result<BTreeSet<String>, String> {
    if items.item.len() > MAX_SET_ITEMS {
        return Err(format!("Invalid set resource: more than {MAX_SET_ITEMS} items"));
    }
    let set: BTreeSet<String> = items.item.iter().cloned().collect();
    if set.len() < items.item.len() {
        return Err("Invalid set resource: duplicated elements".to_owned());
    }
    Ok(set)
}

fn reservations(wire: &Wire) -> Result<Vec<Reservation>, String> {
    match wire.reservations.as_slice() {
        [] => older(wire),
        stack => {
            let read: Vec<Reservation> = refined(stack)?;
            agrees(wire, &read)?;
            Ok(read)
        }
    }
}

/// The older format: a role, and a reservation where it is a dynamic one.
fn older(wire: &Wire) -> Result<Vec<Reservation>, String> {
    let role = Role::from(wire.role());
    validate::role(&role).map_err(|why| why.0)?;
    let Some(dynamic) = &wire.reservation else {
        let fixed = Reservation { kind: ReservationKind::Static, role, principal: None };
        return Ok(if fixed.role.is_default() { Vec::new() } else { vec![fixed] });
    };
    for (field, set) in [("type", dynamic.r#type.is_some()), ("role", dynamic.role.is_some())] {
        if set {
            return Err(format!(
                "'Resource.ReservationInfo.{field}' must not be set for the 'Resource.reservation' field"
            ));
        }
    }
    if role.is_default() {
        return Err("Invalid reservation: role \"*\" cannot be dynamically reserved".to_owned());
    }
    no_labels(dynamic)?;
    Ok(vec![Reservation { kind: ReservationKind::Dynamic, role, principal: dynamic.principal.clone() }])
}

/// The refined format: a stack, each for a role below the one before.
fn refined(stack: &[v1::resource::ReservationInfo]) -> Result<Vec<Reservation>, String> {
    if stack.len() > MAX_RESERVATIONS {
        return Err(format!("more than {MAX_RESERVATIONS} reservations"));
    }
    let mut read: Vec<Reservation> = Vec::with_capacity(stack.len());
    for wire in stack {
        let missing = |field: &str| {
            format!("Invalid reservation: 'Resource.ReservationInfo.{field}' field must be set.")
        };
        let kind = wire.r#type.ok_or_else(|| missing("type"))?;
        let role = Role::from(wire.role.as_deref().ok_or_else(|| missing("role"))?);
        validate::role(&role).map_err(|why| why.0)?;
        if role.is_default() {
            return Err("Invalid reservation: role \"*\" cannot be reserved".to_owned());
        }
        no_labels(wire)?;
        let kind = match Kind::try_from(kind) {
            Ok(Kind::Static) if read.is_empty() => ReservationKind::Static,
            Ok(Kind::Static) => {
                return Err("Invalid refined reservation: A refined reservation cannot be STATIC".to_owned());
            }
            Ok(Kind::Dynamic) => ReservationKind::Dynamic,
            _ => return Err("Unsupported 'Resource.ReservationInfo.Type'".to_owned()),
        };
        if let Some(outer) = read.last().map(|outer| &outer.role) {
            let below = role.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'));
            if !below {
                return Err(format!(
                    "Invalid refined reservation: role '{role}' is not a refinement of '{outer}'"
                ));
            }
        }
        read.push(Reservation { kind, role, principal: wire.principal.clone() });
    }
    Ok(read)
}

/// The older fields beside a stack: they may only repeat a single reservation.
fn agrees(wire: &Wire, stack: &[Reservation]) -> Result<(), String> {
    let wrong = |why: String| Err(format!("Invalid resource format: {why}"));
    let [only] = stack else {
        for (field, set) in [("role", wire.role.is_some()), ("reservation", wire.reservation.is_some())] {
            if set {
                return wrong(format!(
                    "'Resource.{field}' must not be set if there is more than one reservation in 'Resource.reservations'"
                ));
            }
        }
        return Ok(());
    };
    if let Some(role) = wire.role.as_deref().filter(|role| *role != only.role.as_str()) {
        return wrong(format!(
            "'Resource.role' field with '{}' does not match the role '{}' in 'Resource.reservations'",
            shown(role),
            only.role
        ));
    }
    match (only.kind, &wire.reservation) {
        (ReservationKind::Static, None) => Ok(()),
        (ReservationKind::Static, Some(_)) => wrong(
            "'Resource.reservation' must not be set if the single reservation in 'Resource.reservations' is STATIC"
                .to_owned(),
        ),
        (ReservationKind::Dynamic, repeated) if wire.role.is_some() != repeated.is_some() => wrong(
            "'Resource.role' and 'Resource.reservation' must either be both set or both not set if the single \
             reservation in 'Resource.reservations' is DYNAMIC"
                .to_owned(),
        ),
        (ReservationKind::Dynamic, None) => Ok(()),
        (ReservationKind::Dynamic, Some(repeated)) => {
            let principal = only.principal.as_deref().unwrap_or_default();
            if repeated.principal() != principal {
                return wrong(format!(
                    "'Resource.reservation.principal' field with '{}' does not match the principal '{}' in \
                     'Resource.reservations'",
                    shown(repeated.principal()),
                    shown(principal)
                ));
            }
            no_labels(repeated)
        }
    }
}

/// Reservations are told apart by their labels too, and the vocabulary has none of those.
fn no_labels(reservation: &v1::resource::ReservationInfo) -> Result<(), String> {
    match &reservation.labels {
        Some(labels) if !labels.labels.is_empty() => {
            Err("labels of reservations are not supported yet".to_owned())
        }
        _ => Ok(()),
    }
}

/// A resource in one of the two formats; a stack of reservations has only the refined one.
pub(super) fn resource_to_wire(resource: &Resource, allocated_to: Option<&Role>, refined: bool) -> Wire {
    let mut wire = Wire {
        name: resource.name.to_string(),
        allocation_info: allocated_to.map(allocation_to_wire),
        revocable: resource.revocable.then(Default::default),
        ..Default::default()
    };
    match &resource.value {
        Value::Scalar(scalar) => {
            wire.set_type(Type::Scalar);
            wire.scalar = Some(v1::value::Scalar { value: scalar.as_f64() });
        }
        Value::Ranges(ranges) => {
            wire.set_type(Type::Ranges);
            wire.ranges = Some(ranges_to_wire(ranges));
        }
        Value::Set(set) => {
            wire.set_type(Type::Set);
            wire.set = Some(v1::value::Set { item: set.iter().cloned().collect() });
        }
    }
    match resource.reservations.as_slice() {
        [] if refined => {}
        [] => wire.role = Some(Role::DEFAULT.to_owned()),
        [only] if !refined => {
            wire.role = Some(only.role.to_string());
            wire.reservation = (only.kind == ReservationKind::Dynamic).then(|| {
                v1::resource::ReservationInfo { principal: only.principal.clone(), ..Default::default() }
            });
        }
        stack => wire.reservations = stack.iter().map(reservation_to_wire).collect(),
    }
    wire
}

/// Whose share it is.
pub(super) fn allocation_to_wire(role: &Role) -> v1::resource::AllocationInfo {
    v1::resource::AllocationInfo { role: Some(role.to_string()) }
}

fn reservation_to_wire(reservation: &Reservation) -> v1::resource::ReservationInfo {
    let kind = match reservation.kind {
        ReservationKind::Static => Kind::Static,
        ReservationKind::Dynamic => Kind::Dynamic,
    };
    v1::resource::ReservationInfo {
        r#type: Some(kind.into()),
        role: Some(reservation.role.to_string()),
        principal: reservation.principal.clone(),
        labels: None,
    }
}

/// Ranges.
pub(super) fn ranges_to_wire(ranges: &Ranges) -> v1::value::Ranges {
    v1::value::Ranges { range: ranges.iter().map(|(begin, end)| v1::value::Range { begin, end }).collect() }
}
