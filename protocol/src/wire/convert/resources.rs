//! Resources.

use super::resource::{resource, resource_to_wire};
use crate::limits::MAX_RESOURCES;
use crate::wire::v1;
use crate::{Resource, Resources, Role};

/// Resources in either format. What they are allocated to is asked of [`allocated_to`].
///
/// # Errors
/// Says which is wrong, in Mesos's words where it has some: negative amounts, inverted ranges, formats that contradict each
/// other; or which is not supported: volumes, shared ones, those of resource providers.
pub fn resources(list: &[v1::Resource]) -> Result<Resources, String> {
    if list.len() > MAX_RESOURCES {
        return Err(format!("more than {MAX_RESOURCES} resources"));
    }
    let read = |wire: &v1::Resource| {
        resource(wire)
            .map_err(|why| format!("Resource '{}' is invalid: {why}", crate::validate::shown(&wire.name)))
    };
    let read: Vec<Resource> = list.iter().map(read).collect::<Result<_, _>>()?;
    let sum: Resources = read.into_iter().collect();
    sum.check_limits()?;
    Ok(sum)
}

/// The role that they say they are allocated to; none where none says so.
///
/// # Errors
/// There are two: what Mesos says.
pub fn allocated_to(list: &[v1::Resource]) -> Result<Option<Role>, String> {
    let mut roles = list.iter().filter_map(|wire| wire.allocation_info.as_ref()?.role.as_deref());
    let Some(first) = roles.next() else { return Ok(None) };
    match roles.find(|role| *role != first) {
        Some(other) => Err(crate::validate::two_allocation_roles(other, first).0),
        None => Ok(Some(Role::from(first))),
    }
}

/// Resources, allocated to a role or to none, in the refined or in the older format. One under a stack of reservations is in
/// the refined format either way: the older one has no words for it.
pub fn resources_to_wire(
    resources: &Resources,
    allocated_to: Option<&Role>,
    refined: bool,
) -> Vec<v1::Resource> {
    resources.iter().map(|resource| resource_to_wire(resource, allocated_to, refined)).collect()
}
