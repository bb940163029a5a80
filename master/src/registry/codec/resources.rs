//! Resources and what they are made of.

use std::time::Duration;

use bytes::Bytes;
use protocol::resources::{Ranges, Reservation, ReservationKind, Scalar, Value};
use protocol::wire::registry as stored;
use protocol::{Resource, Resources, Role, Uuid};

use super::Read;

pub(super) fn resources_to_stored(resources: &Resources) -> Vec<stored::Resource> {
    resources.iter().map(resource_to_stored).collect()
}

pub(super) fn resources(stored: Vec<stored::Resource>) -> Read<Resources> {
    stored.into_iter().map(resource).collect()
}

fn resource_to_stored(resource: &Resource) -> stored::Resource {
    use stored::resource::Value as Stored;
    stored::Resource {
        name: resource.name.to_string(),
        reservations: resource.reservations.iter().map(reservation_to_stored).collect(),
        revocable: resource.revocable,
        value: Some(match &resource.value {
            Value::Scalar(scalar) => Stored::Scalar(scalar.millis()),
            Value::Ranges(ranges) => Stored::Ranges(ranges_to_stored(ranges)),
            Value::Set(set) => Stored::Set(stored::Set { items: set.iter().cloned().collect() }),
        }),
    }
}

fn resource(stored: stored::Resource) -> Read<Resource> {
    use stored::resource::Value as Stored;
    let value = match stored.value {
        Some(Stored::Scalar(millis)) => Value::Scalar(Scalar::from_millis(millis)),
        Some(Stored::Ranges(stored)) => Value::Ranges(ranges(&stored)),
        Some(Stored::Set(set)) => Value::Set(set.items.into_iter().collect()),
        None => return Err(format!("the resource '{}' has no value", stored.name)),
    };
    Ok(Resource {
        reservations: stored.reservations.into_iter().map(reservation).collect::<Read<_>>()?,
        revocable: stored.revocable,
        ..Resource::new(stored.name, value)
    })
}

fn reservation_to_stored(reservation: &Reservation) -> stored::Reservation {
    use stored::reservation::Kind;
    let kind = match reservation.kind {
        ReservationKind::Static => Kind::Static,
        ReservationKind::Dynamic => Kind::Dynamic,
    };
    stored::Reservation {
        kind: kind.into(),
        role: reservation.role.to_string(),
        principal: reservation.principal.clone(),
    }
}

fn reservation(stored: stored::Reservation) -> Read<Reservation> {
    use stored::reservation::Kind;
    let kind = match stored.kind() {
        Kind::Static => ReservationKind::Static,
        Kind::Dynamic => ReservationKind::Dynamic,
        Kind::Unknown => return Err(format!("a reservation is of kind {}", stored.kind)),
    };
    Ok(Reservation { kind, role: Role::from(stored.role), principal: stored.principal })
}

pub(super) fn ranges_to_stored(ranges: &Ranges) -> stored::Ranges {
    stored::Ranges { ranges: ranges.iter().map(|(begin, end)| stored::Range { begin, end }).collect() }
}

pub(super) fn ranges(stored: &stored::Ranges) -> Ranges {
    stored.ranges.iter().map(|range| (range.begin, range.end)).collect()
}

pub(super) fn duration_to_stored(duration: Duration) -> stored::Duration {
    stored::Duration { seconds: duration.as_secs(), nanoseconds: duration.subsec_nanos() }
}

pub(super) fn duration(stored: &stored::Duration) -> Duration {
    Duration::from_secs(stored.seconds).saturating_add(Duration::from_nanos(stored.nanoseconds.into()))
}

pub(super) fn uuid_to_stored(uuid: Uuid) -> Bytes {
    Bytes::copy_from_slice(&uuid.0)
}

pub(super) fn uuid(stored: &[u8]) -> Read<Uuid> {
    stored.try_into().map(Uuid).map_err(|_| format!("an identity has {} bytes instead of 16", stored.len()))
}
