//! The host, as `/system/stats.json` and the `system/` metrics show it. What can't be read is left out.

use std::collections::BTreeMap;

use crate::Metrics;

/// Names and values, without the `system/`.
#[cfg(target_os = "linux")]
pub(crate) fn stats() -> BTreeMap<&'static str, f64> {
    let mut stats = BTreeMap::new();
    // Files of the kernel: reading them does not wait.
    let text = |path| std::fs::read_to_string(path).unwrap_or_default();
    let load = text("/proc/loadavg");
    let averages = ["load_1min", "load_5min", "load_15min"].into_iter().zip(load.split(' '));
    stats.extend(averages.filter_map(|(name, value)| Some((name, value.parse().ok()?))));
    let memory = text("/proc/meminfo");
    for (name, line) in [("mem_total_bytes", "MemTotal:"), ("mem_free_bytes", "MemFree:")] {
        let value = memory.lines().find_map(|found| found.strip_prefix(line));
        let kibibytes = value.and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        stats.extend(kibibytes.map(|value| (name, value * 1024.0)));
    }
    let processors = text("/proc/stat");
    let processors = processors.lines().filter(|line| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    stats.insert("cpus_total", processors.count() as f64);
    stats
}

/// Names and values, without the `system/`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn stats() -> BTreeMap<&'static str, f64> {
    BTreeMap::new()
}

/// Shows them among the metrics.
pub(crate) fn publish(metrics: &Metrics) {
    for name in stats().into_keys() {
        metrics.pulled(&format!("system/{name}"), move || stats().get(name).copied().unwrap_or(0.0));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_known() {
        let stats = stats();
        let names: Vec<_> = stats.keys().copied().collect();
        let expected =
            ["cpus_total", "load_15min", "load_1min", "load_5min", "mem_free_bytes", "mem_total_bytes"];
        assert_eq!(names, expected);
        assert!(stats["cpus_total"] >= 1.0 && stats["mem_total_bytes"] > stats["mem_free_bytes"]);
    }
}
