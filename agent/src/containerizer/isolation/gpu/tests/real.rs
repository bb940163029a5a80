//! What is only read, of real GPUs: with `MESETA_NVML=real`.

use std::ops::ControlFlow;
use std::time::Duration;

use super::super::{Driver, GpuSettings};

#[test]
fn real_gpus_are_found_and_answer() {
    if std::env::var("MESETA_NVML").as_deref() != Ok("real") {
        eprintln!("SKIPPED: no real GPU: set MESETA_NVML=real where there is one");
        return;
    }
    let driver = Driver::open(None).unwrap();
    let found = driver.inventory().unwrap();
    assert!(!found.gpus.is_empty() && !found.driver.is_empty(), "{found:#?}");
    assert_eq!(found.lost, [""; 0]);
    for gpu in found.gpus.iter().map(|gpu| &gpu.whole) {
        assert!(
            gpu.uuid.starts_with("GPU-") && gpu.memory_bytes > Some(0) && gpu.pci_bus_id.is_some(),
            "{gpu:#?}"
        );
    }
    let uuids: Vec<String> = found.gpus.iter().map(|gpu| gpu.whole.uuid.clone()).collect();
    for vitals in driver.vitals(uuids.clone()).unwrap() {
        assert_eq!(vitals.problem, None);
    }
    for usage in driver.usage(uuids.clone()).unwrap() {
        assert!(usage.memory_total_bytes > Some(0) && usage.temperature_celsius > Some(0), "{usage:#?}");
    }
    let mut quiet = 0;
    let watched = driver.watch(
        &uuids,
        || Duration::from_millis(50),
        |event| {
            quiet += u32::from(event.is_none());
            ControlFlow::Break(())
        },
    );
    assert_eq!((watched, quiet), (Ok(()), 1));
    let settings = GpuSettings::find(None, "0").unwrap();
    assert!(settings.devices.all.iter().all(|device| device.index == 0));
}
