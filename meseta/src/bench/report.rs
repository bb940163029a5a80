//! What a benchmark found, as a JSON line and as a row of BENCHMARKS.md.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// Marks the part of BENCHMARKS.md that the tool writes.
const BEGIN: &str = "<!-- figures: written by `meseta bench`, do not edit -->";
const END: &str = "<!-- end of figures -->";

/// One figure.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Which benchmark, such as `B6`.
    pub name: &'static str,
    /// With which parameters, in one line.
    pub params: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Median and 99th percentile of single observations, where there are any, in milliseconds.
    pub percentiles_ms: Option<(f64, f64)>,
}

/// What surrounded a run.
#[derive(Clone, Debug)]
pub struct Conditions {
    load_before: f64,
    git: String,
    cpu: String,
}

impl Conditions {
    /// Those of now; call before the run.
    pub fn now() -> Self {
        let git = std::process::Command::new("git")
            .args(["describe", "--always", "--dirty"])
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map_or_else(
                || "unknown".into(),
                |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            );
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .and_then(|rest| rest.split_once(':'))
            .map_or("unknown", |(_, model)| model.trim());
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self { load_before: load(), git, cpu: format!("{cores} x {model}") }
    }

    /// The JSON line of a figure.
    pub fn line(&self, figure: &Figure) -> Value {
        json!({
            "name": figure.name,
            "params": figure.params,
            "value": round(figure.value),
            "unit": figure.unit,
            "p50": figure.percentiles_ms.map(|(p50, _)| round(p50)),
            "p99": figure.percentiles_ms.map(|(_, p99)| round(p99)),
            "load_before": self.load_before,
            "load_after": load(),
            "git": self.git,
            "cpu": self.cpu,
        })
    }
}

fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// Median and 99th percentile in milliseconds (nearest rank); `None` without observations.
pub fn percentiles_ms(mut observations: Vec<Duration>) -> Option<(f64, f64)> {
    observations.sort_unstable();
    let last = observations.len().checked_sub(1)?;
    let at = |percent: usize| observations[(last * percent).div_ceil(100).min(last)].as_secs_f64() * 1000.0;
    Some((at(50), at(99)))
}

/// Puts lines into the part of a file that belongs to the tool, in place of older lines of the same name and params.
///
/// # Errors
/// The file can't be read or written.
pub fn keep(path: &Path, lines: &[Value]) -> io::Result<()> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("# Benchmarks\n\n{BEGIN}\n{END}\n"),
        Err(error) => return Err(error),
    };
    let (head, rest) = text.split_once(BEGIN).unwrap_or((&text, ""));
    let (old, tail) = rest.split_once(END).unwrap_or(("", ""));
    let mut kept: Vec<Value> = old
        .lines()
        .filter_map(|line| serde_json::from_str(line.trim()).ok())
        .filter(|old: &Value| {
            !lines.iter().any(|new| new["name"] == old["name"] && new["params"] == old["params"])
        })
        .collect();
    kept.extend(lines.iter().cloned());
    kept.sort_by_key(|line| (line["name"].to_string(), line["params"].to_string()));
    let mut body = String::from(
        "\n| benchmark | parameters | value | p50 / p99 ms | load | commit |\n|---|---|---|---|---|---|\n",
    );
    for line in &kept {
        let text = |key: &str| match &line[key] {
            Value::String(text) => text.clone(),
            Value::Null => "-".into(),
            other => other.to_string(),
        };
        body.push_str(&format!(
            "| {} | {} | {} {} | {} / {} | {} -> {} | {} |\n",
            text("name"),
            text("params"),
            text("value"),
            text("unit"),
            text("p50"),
            text("p99"),
            text("load_before"),
            text("load_after"),
            text("git"),
        ));
    }
    body.push_str("\n```json\n");
    for line in &kept {
        body.push_str(&format!("{line}\n"));
    }
    body.push_str("```\n");
    std::fs::write(path, format!("{}{BEGIN}\n{body}\n{END}{tail}", head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_line_takes_the_place_of_the_old_one_and_the_rest_stays() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("# Benchmarks\nwords\n{BEGIN}\n{END}\nmore words\n")).unwrap();
        let line =
            |params: &str, value: f64| json!({"name": "B6", "params": params, "value": value, "unit": "1/s"});
        keep(file.path(), &[line("a", 1.0), line("b", 2.0)]).unwrap();
        keep(file.path(), &[line("a", 3.0)]).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.starts_with("# Benchmarks\nwords\n") && text.ends_with("\nmore words\n"), "{text}");
        assert!(text.contains("| B6 | a | 3.0 1/s |") && text.contains("| B6 | b | 2.0 1/s |"), "{text}");
        assert!(!text.contains("| 1.0 1/s"), "{text}");
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let observations = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentiles_ms(observations), Some((51.0, 100.0)));
        assert_eq!(percentiles_ms(Vec::new()), None);
    }
}
