//! What an agent says of itself besides resources: `rack:r1;os:linux;level:10`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::resources::{Ranges, Scalar};

/// A named value. Names may repeat.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: AttributeValue,
}

/// The kinds of values of attributes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttributeValue {
    /// An amount.
    Scalar(Scalar),
    /// Numbers.
    Ranges(Ranges),
    /// Anything else.
    Text(String),
}

/// Attributes in the order they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(pub Vec<Attribute>);

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attribute) in self.0.iter().enumerate() {
            write!(f, "{}{}:", if index == 0 { "" } else { ";" }, attribute.name)?;
            match &attribute.value {
                AttributeValue::Scalar(scalar) => write!(f, "{scalar}")?,
                AttributeValue::Ranges(ranges) => write!(f, "{ranges}")?,
                AttributeValue::Text(text) => f.write_str(text)?,
            }
        }
        Ok(())
    }
}
