//! Labels.

use crate::Label;
use crate::wire::v1;

/// Labels in order.
pub fn labels(labels: Option<v1::Labels>) -> Vec<Label> {
    let labels = labels.unwrap_or_default().labels.into_iter();
    labels.map(|label| Label { key: label.key, value: label.value }).collect()
}

/// Labels in order; nothing where there are none.
pub fn labels_to_wire(labels: &[Label]) -> Option<v1::Labels> {
    let to_wire = |label: &Label| v1::Label { key: label.key.clone(), value: label.value.clone() };
    (!labels.is_empty()).then(|| v1::Labels { labels: labels.iter().map(to_wire).collect() })
}
