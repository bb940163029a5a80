//! What an agent says of itself besides resources: `rack:r1;os:linux;level:10;ports:[1-3]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::MAX_ATTRIBUTES;
use crate::resources::{Ranges, Scalar, name, text};

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

/// Why a text is not attributes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{part}' in attributes: {problem}; expected for example rack:r1;os:linux;level:10;ports:[1-3]")]
pub struct ParseAttributesError {
    /// The part that was not understood.
    pub part: String,
    /// What is wrong with it.
    pub problem: String,
}

impl FromStr for Attributes {
    type Err = ParseAttributesError;

    /// `name:value` joined by `;`. A value in brackets is ranges; one that is a number within the range of
    /// [`Scalar`] is an amount; any other is text, which may hold further colons.
    ///
    /// # Errors
    /// Says which part is wrong. Sets (`{a,b}`) are refused: Mesos has no such attributes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Vec::new();
        for part in text.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
            let refuse =
                |problem: String| ParseAttributesError { part: part.chars().take(80).collect(), problem };
            if attributes.len() >= MAX_ATTRIBUTES {
                return Err(refuse(format!("more than {MAX_ATTRIBUTES} attributes")));
            }
            attributes.push(parse_one(part).map_err(refuse)?);
        }
        Ok(Self(attributes))
    }
}

fn parse_one(part: &str) -> Result<Attribute, String> {
    let (key, value) = part.split_once(':').ok_or("no ':'")?;
    let (key, value) = (key.trim(), value.trim());
    name::check(key)?;
    let value = if value.is_empty() {
        return Err("the value is empty".into());
    } else if let Some(inner) = value.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("no ']' after the ranges")?;
        AttributeValue::Ranges(text::parse_ranges(inner)?)
    } else if value.starts_with('{') {
        return Err("an attribute can't be a set".into());
    } else if let Ok(scalar) = value.parse() {
        AttributeValue::Scalar(scalar)
    } else {
        AttributeValue::Text(value.into())
    };
    Ok(Attribute { name: key.into(), value })
}

impl fmt::Display for Attributes {
    /// What [`Attributes::from_str`] reads.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart_by_their_form() {
        let attributes: Attributes =
            "rack:r1; os : linux;level:10;ports:[1-3,7-7];url:http://x/y;v:1.2.3;rack:r2;\
                                      serial:99999999999999999999"
                .parse()
                .unwrap();
        let value = |index: usize| &attributes.0[index].value;
        assert_eq!(*value(0), AttributeValue::Text("r1".into()));
        assert_eq!(*value(1), AttributeValue::Text("linux".into()));
        assert_eq!(*value(2), AttributeValue::Scalar(Scalar::from_units(10)));
        assert_eq!(*value(3), AttributeValue::Ranges([(1, 3), (7, 7)].into_iter().collect()));
        assert_eq!(*value(4), AttributeValue::Text("http://x/y".into()));
        assert_eq!(*value(5), AttributeValue::Text("1.2.3".into()));
        assert_eq!(*value(7), AttributeValue::Text("99999999999999999999".into()));
        let printed = attributes.to_string();
        assert_eq!(
            printed,
            "rack:r1;os:linux;level:10;ports:[1-3, 7-7];url:http://x/y;v:1.2.3;rack:r2;serial:99999999999999999999"
        );
        assert_eq!(printed.parse(), Ok(attributes));
        assert_eq!(" ;; ".parse(), Ok(Attributes::default()));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (text, problem) in [
            ("rack", "no ':'"),
            ("rack:", "the value is empty"),
            (":r1", "the name is empty"),
            ("a b:r1", "is not a name"),
            ("zones:{a,b}", "can't be a set"),
            ("ports:[1-3", "no ']'"),
            ("ports:[3-1]", "ends before it begins"),
            ("ports:[3]", "a range is begin-end"),
        ] {
            let error = format!("a:1;{text}").parse::<Attributes>().unwrap_err();
            assert!(error.to_string().contains(problem), "{text}: {error}");
            assert!(error.to_string().contains("expected for example rack:r1"), "{error}");
        }
    }
}
