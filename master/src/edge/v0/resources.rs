//! Resources as one number or text a name.

use std::collections::BTreeMap;

use protocol::resources::Value;
use protocol::{Ranges, Resources, Scalar};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The names that are always there, in Mesos's order.
const ALWAYS: [&str; 4] = ["disk", "mem", "gpus", "cpus"];

/// `disk`, `mem`, `gpus` and `cpus` always; what is no amount as text; revocable ones under a name of their own.
pub(crate) struct Summary<'a>(pub(crate) &'a Resources);

/// What an entry is shown under.
fn shown_name(resource: &protocol::Resource) -> std::borrow::Cow<'_, str> {
    if resource.revocable { format!("{}_revocable", resource.name).into() } else { (*resource.name).into() }
}

impl Serialize for Summary<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in ALWAYS {
            let amount = self.0.named(name).iter().filter(|one| !one.revocable).map(|one| &one.value);
            map.serialize_entry(name, &sum(amount).as_f64())?;
        }
        let plain = |one: &&protocol::Resource| !ALWAYS.contains(&&*one.name) || one.revocable;
        let mut others: BTreeMap<_, Vec<&Value>> = BTreeMap::new();
        for resource in self.0.iter().filter(plain) {
            others.entry(shown_name(resource)).or_default().push(&resource.value);
        }
        for (name, values) in others {
            match values[0] {
                Value::Scalar(_) => map.serialize_entry(&name, &sum(values.into_iter()).as_f64())?,
                Value::Ranges(_) => map.serialize_entry(&name, &ranges(&values).to_string())?,
                Value::Set(_) => map.serialize_entry(&name, &set(&values))?,
            }
        }
        map.end()
    }
}

fn sum<'a>(values: impl Iterator<Item = &'a Value>) -> Scalar {
    let millis = values.map(|value| if let Value::Scalar(amount) = value { amount.millis() } else { 0 });
    Scalar::from_millis(millis.sum())
}

fn ranges(values: &[&Value]) -> Ranges {
    let mut all = Ranges::default();
    for value in values {
        if let Value::Ranges(ranges) = value {
            all.add(ranges);
        }
    }
    all
}

fn set(values: &[&Value]) -> String {
    let mut items = std::collections::BTreeSet::new();
    for value in values {
        if let Value::Set(set) = value {
            items.extend(set.iter().map(String::as_str));
        }
    }
    format!("{{{}}}", items.into_iter().collect::<Vec<_>>().join(", "))
}

/// Amounts alone, and only of what there is.
pub(crate) struct Quantities<'a>(pub(crate) &'a Resources);

impl Serialize for Quantities<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut amounts: BTreeMap<&str, u64> = BTreeMap::new();
        for resource in self.0 {
            if let Value::Scalar(amount) = &resource.value {
                *amounts.entry(&resource.name).or_default() += amount.millis();
            }
        }
        let shown = amounts.into_iter().filter(|(_, millis)| *millis > 0);
        serializer.collect_map(shown.map(|(name, millis)| (name, Scalar::from_millis(millis).as_f64())))
    }
}

#[cfg(test)]
mod tests {
    use protocol::Resource;

    use super::*;

    #[test]
    fn resources_are_summed_by_name() {
        let mut resources: Resources =
            "cpus:1.5;cpus(prod):2;mem:64;ports:[1-3];ports(prod):[4-4,9-9];zones:{b,a}".parse().unwrap();
        let revocable = Resource { revocable: true, ..Resource::scalar("cpus", Scalar::from_units(1)) };
        resources += &Resources::from(revocable);
        assert_eq!(
            serde_json::to_string(&Summary(&resources)).unwrap(),
            r#"{"disk":0.0,"mem":64.0,"gpus":0.0,"cpus":3.5,"cpus_revocable":1.0,"ports":"[1-4, 9-9]","zones":"{a, b}"}"#
        );
        assert_eq!(serde_json::to_string(&Quantities(&resources)).unwrap(), r#"{"cpus":4.5,"mem":64.0}"#);
        assert_eq!(
            serde_json::to_string(&Summary(&Resources::new())).unwrap(),
            r#"{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.0}"#
        );
    }
}
