//! The text form: `cpus:4;cpus(prod):8;ports:[31000-32000, 33000-33000];zones:{a,b}`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{Ranges, Reservation, ReservationKind, Resource, Resources, Scalar, Value};
use crate::Role;
use crate::limits::{MAX_RANGES, MAX_RESOURCES, MAX_SET_ITEMS};

/// Why a text is not resources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{part}' in resources: {problem}; expected for example cpus:4;mem:2048;cpus(prod):8;ports:[31000-32000]"
)]
pub struct ParseResourcesError {
    /// The part that was not understood.
    pub part: String,
    /// What is wrong with it.
    pub problem: String,
}

fn refuse(part: &str, problem: impl Into<String>) -> ParseResourcesError {
    let part: String = part.chars().take(80).collect();
    ParseResourcesError { part, problem: problem.into() }
}

impl FromStr for Resources {
    type Err = ParseResourcesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut resources = Resources::new();
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
        for (index, part) in parts.enumerate() {
            if index >= MAX_RESOURCES {
                return Err(refuse(part, format!("more than {MAX_RESOURCES} resources")));
            }
            let resource = parse_one(part)?;
            let other_kind =
                |have: &&Resource| have.name == resource.name && !have.value.same_kind(&resource.value);
            if resources.iter().find(other_kind).is_some() {
                return Err(refuse(part, "the same name with another kind of value"));
            }
            resources += &Resources::from(resource);
        }
        Ok(resources)
    }
}

fn parse_one(part: &str) -> Result<Resource, ParseResourcesError> {
    let (head, value) = part.split_once(':').ok_or_else(|| refuse(part, "no ':'"))?;
    let (name, role) = match head.trim().split_once('(') {
        None => (head.trim(), None),
        Some((name, rest)) => {
            let role = rest.strip_suffix(')').ok_or_else(|| refuse(part, "no ')' after the role"))?;
            (name.trim(), Some(role.trim()))
        }
    };
    if name.is_empty()
        || name.contains(|c: char| c.is_whitespace() || c.is_control() || "(){}[],".contains(c))
    {
        return Err(refuse(part, "not a name"));
    }
    let reservations = match role {
        None | Some(Role::DEFAULT) => Vec::new(),
        Some(role) => {
            let role = Role::from(role);
            crate::validate::role(&role).map_err(|why| refuse(part, why.to_string()))?;
            vec![Reservation { kind: ReservationKind::Static, role, principal: None }]
        }
    };
    let value = parse_value(part, value.trim())?;
    Ok(Resource { name: name.into(), reservations, revocable: false, value })
}

fn parse_value(part: &str, text: &str) -> Result<Value, ParseResourcesError> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return parse_ranges(part, inner).map(Value::Ranges);
    }
    if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let items: BTreeSet<String> =
            inner.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Into::into).collect();
        if items.len() > MAX_SET_ITEMS {
            return Err(refuse(part, format!("more than {MAX_SET_ITEMS} items")));
        }
        return Ok(Value::Set(items));
    }
    text.parse::<Scalar>().map(Value::Scalar).map_err(|why| refuse(part, why.to_string()))
}

fn parse_ranges(part: &str, inner: &str) -> Result<Ranges, ParseResourcesError> {
    let mut ranges = Vec::new();
    for range in inner.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (begin, end) = range.split_once('-').ok_or_else(|| refuse(part, "a range is begin-end"))?;
        let number =
            |text: &str| text.trim().parse::<u64>().map_err(|_| refuse(part, "a range is begin-end"));
        let (begin, end) = (number(begin)?, number(end)?);
        if begin > end {
            return Err(refuse(part, "a range ends before it begins"));
        }
        if ranges.len() >= MAX_RANGES {
            return Err(refuse(part, format!("more than {MAX_RANGES} ranges")));
        }
        ranges.push((begin, end));
    }
    Ok(ranges.into_iter().collect())
}

/// Prints what [`Resources::from_str`] reads.
pub(super) fn print(resources: &Resources, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, resource) in resources.iter().enumerate() {
        if index > 0 {
            f.write_str(";")?;
        }
        f.write_str(&resource.name)?;
        if let Some(reservation) = resource.reservations.last() {
            write!(f, "({})", reservation.role)?;
        }
        f.write_str(":")?;
        match &resource.value {
            Value::Scalar(scalar) => write!(f, "{scalar}")?,
            Value::Ranges(ranges) => write!(f, "{ranges}")?,
            Value::Set(set) => {
                f.write_str("{")?;
                for (index, item) in set.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("}")?;
            }
        }
    }
    Ok(())
}
