//! Counters and gauges of a node; its components register theirs beside the runtime's.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::limits::MAX_METRICS;
use crate::sync::lock;

/// The metrics of one node. Clones are the same set. Names are paths: `master/tasks_running`.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<String, Metric>>>);

#[derive(Clone)]
enum Metric {
    Counter(Counter),
    Gauge(Gauge),
    Pulled(Arc<dyn Fn() -> f64 + Send + Sync>),
}

/// Goes up. Clones are the same counter.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds some.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// What it shows.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Shows what it was last set to. Clones are the same gauge.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Replaces what it shows.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// What it shows.
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Metrics {
    /// The counter of a name, made if there is none. If the name is a gauge's, or there are too many names, what comes
    /// back counts but is not shown.
    pub fn counter(&self, name: &str) -> Counter {
        let fresh = Counter::default();
        match self.register(name, Metric::Counter(fresh.clone())) {
            Some(Metric::Counter(known)) => known,
            _ => fresh,
        }
    }

    /// The gauge of a name, made if there is none, as [`Metrics::counter`].
    pub fn gauge(&self, name: &str) -> Gauge {
        let fresh = Gauge::default();
        match self.register(name, Metric::Gauge(fresh.clone())) {
            Some(Metric::Gauge(known)) => known,
            _ => fresh,
        }
    }

    /// A gauge that is asked when it is read; replaces what had the name.
    pub fn pulled(&self, name: &str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.remove(name);
        self.register(name, Metric::Pulled(Arc::new(read)));
    }

    /// Forgets a name.
    pub fn remove(&self, name: &str) {
        lock(&self.0).remove(name);
    }

    /// All of them, by name.
    pub fn snapshot(&self) -> BTreeMap<String, f64> {
        // Pulled gauges may register metrics of their own: they are asked without the lock.
        let metrics = lock(&self.0).clone();
        metrics.into_iter().map(|(name, metric)| (name, metric.value())).collect()
    }

    /// All of them in the text form of Prometheus.
    pub fn prometheus(&self) -> String {
        let metrics = lock(&self.0).clone();
        let mut text = String::new();
        for (name, metric) in metrics {
            let kind = if matches!(metric, Metric::Counter(_)) { "counter" } else { "gauge" };
            let name: String =
                name.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }).collect();
            let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name };
            // Writing to a String can't fail.
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name} {}", metric.value());
        }
        text
    }

    /// Registers a name, or says what has it.
    fn register(&self, name: &str, metric: Metric) -> Option<Metric> {
        let mut metrics = lock(&self.0);
        if let Some(known) = metrics.get(name) {
            return Some(known.clone());
        }
        if metrics.len() < MAX_METRICS {
            metrics.insert(name.to_owned(), metric);
        }
        None
    }
}

impl Metric {
    fn value(&self) -> f64 {
        match self {
            Metric::Counter(counter) => counter.value() as f64,
            Metric::Gauge(gauge) => gauge.value(),
            Metric::Pulled(read) => read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_metric() {
        let metrics = Metrics::default();
        metrics.counter("a/count").add(2);
        metrics.counter("a/count").increment();
        metrics.gauge("a/level").set(0.5);
        metrics.pulled("1st", || 7.0);
        metrics.gauge("a/count").set(99.0);
        let snapshot = metrics.snapshot();
        assert_eq!(snapshot["a/count"], 3.0);
        assert_eq!(snapshot["a/level"], 0.5);
        assert_eq!(snapshot["1st"], 7.0);
        assert_eq!(
            metrics.prometheus(),
            "# TYPE _1st gauge\n_1st 7\n# TYPE a_count counter\na_count 3\n# TYPE a_level gauge\na_level 0.5\n"
        );
    }
}
