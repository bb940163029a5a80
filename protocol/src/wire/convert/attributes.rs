//! What agents say of themselves besides resources.

use super::resource::{ranges, ranges_to_wire};
use crate::limits::MAX_ATTRIBUTES;
use crate::resources::Scalar;
use crate::wire::v1;
use crate::{Attribute, AttributeValue, Attributes};
use v1::value::Type;

/// Attributes in order.
///
/// # Errors
/// Says which is wrong: without the value that its type names, or a set, which no agent has.
pub fn attributes(attributes: Vec<v1::Attribute>) -> Result<Attributes, String> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(format!("more than {MAX_ATTRIBUTES} attributes"));
    }
    let read = |attribute: v1::Attribute| {
        let value = value(&attribute);
        let value = value.map_err(|why| {
            format!("Attribute '{}' is invalid: {why}", crate::validate::shown(&attribute.name))
        })?;
        Ok(Attribute { name: attribute.name, value })
    };
    attributes.into_iter().map(read).collect::<Result<_, _>>().map(Attributes)
}

fn value(attribute: &v1::Attribute) -> Result<AttributeValue, String> {
    match (attribute.r#type(), &attribute.scalar, &attribute.ranges, &attribute.text) {
        (Type::Scalar, Some(scalar), ..) => {
            Scalar::from_f64(scalar.value).map(AttributeValue::Scalar).map_err(|why| why.to_string())
        }
        (Type::Ranges, _, Some(list), _) => ranges(list).map(AttributeValue::Ranges),
        (Type::Text, .., Some(text)) => Ok(AttributeValue::Text(text.value.clone())),
        (Type::Set, ..) => Err("an attribute can't be a set".to_owned()),
        (kind, ..) => Err(format!("its type is {} and there is no such value", kind.as_str_name())),
    }
}

/// Attributes in order.
pub fn attributes_to_wire(attributes: &Attributes) -> Vec<v1::Attribute> {
    attributes.0.iter().map(attribute_to_wire).collect()
}

fn attribute_to_wire(attribute: &Attribute) -> v1::Attribute {
    let mut wire = v1::Attribute { name: attribute.name.clone(), ..Default::default() };
    match &attribute.value {
        AttributeValue::Scalar(scalar) => {
            wire.set_type(Type::Scalar);
            wire.scalar = Some(v1::value::Scalar { value: scalar.as_f64() });
        }
        AttributeValue::Ranges(ranges) => {
            wire.set_type(Type::Ranges);
            wire.ranges = Some(ranges_to_wire(ranges));
        }
        AttributeValue::Text(text) => {
            wire.set_type(Type::Text);
            wire.text = Some(v1::value::Text { value: text.clone() });
        }
    }
    wire
}
