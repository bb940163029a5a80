//! What is found, and what is not.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use super::super::device::{Bus, Nearness};
use super::super::driver::{Event, EventKind};
use super::super::{Driver, DriverError};
use super::fake::{Fake, uuid};

#[test]
fn what_the_driver_tells_is_found() {
    let Some(fake) = Fake::with_gpus(4) else { return };
    let found = fake.driver().inventory().unwrap();
    assert_eq!(found.driver, "550.54.15");
    assert_eq!(found.lost, Vec::<String>::new());
    let gpu = &found.gpus[2].whole;
    assert_eq!((gpu.uuid.as_str(), gpu.index, gpu.minor), (uuid(2).as_str(), 2, 2));
    assert_eq!((gpu.name.as_str(), gpu.memory_bytes), ("Fake_H200", Some(16_000)));
    assert_eq!((gpu.pci_bus_id.as_deref(), gpu.numa_node), (Some("00000000:02:00.0"), Some(0)));
    assert_eq!((gpu.ecc, &gpu.mig, &found.gpus[2].instances), (Some(true), &None, &None));
    assert_eq!(found.nearness[0][1], Nearness { bus: Bus::Bridge, links: 2 });
    assert_eq!(found.nearness[3][2], Nearness { bus: Bus::Bridge, links: 2 });
    assert_eq!(found.nearness[1][2], Nearness { bus: Bus::System, links: 0 });
    let devices = found.devices(|device| device.index != 0);
    assert_eq!(devices.worth, [[60, 10, 10], [10, 60, 250], [10, 250, 60]]);
}

#[test]
fn a_divided_gpu_is_its_instances() {
    let Some(mut fake) = Fake::with_gpus(2) else { return };
    fake.set(1, "mig", 1);
    fake.add("instance gpu=1 index=0 uuid=MIG-a name=Fake_1g gi=7 ci=0 mem=2000");
    fake.add("instance gpu=1 index=3 uuid=MIG-b name=Fake_1g gi=9 ci=1 mem=2000");
    let devices = fake.driver().inventory().unwrap().devices(|_| true);
    let shown: Vec<String> = devices.all.iter().map(ToString::to_string).collect();
    let whole = format!("GPU 0 (Fake_H200, {})", uuid(0));
    assert_eq!(
        shown,
        [&whole, "instance 7/0 of GPU 1 (Fake_1g, MIG-a)", "instance 9/1 of GPU 1 (Fake_1g, MIG-b)"]
    );
    assert_eq!(devices.all[2].gpu_uuid(), uuid(1));
    assert_eq!((devices.all[2].minor, devices.all[2].memory_bytes), (1, Some(2000)));
    assert_eq!(devices.worth[1][2], 60);
}

#[test]
fn no_driver_is_one_sentence() {
    let error = Driver::open(Some(Path::new("/nowhere/libnvidia-ml.so.1"))).unwrap_err();
    let DriverError::Absent { library, why } = &error else { panic!("{error}") };
    assert_eq!(library, "/nowhere/libnvidia-ml.so.1");
    assert!(why.contains("cannot open shared object file"), "{why}");
    // The library is there, the kernel's part is not.
    let Some(fake) = Fake::new(&["init rc=9"]) else { return };
    let error = Driver::open(Some(&fake.library())).unwrap_err();
    assert!(error.to_string().ends_with("NVIDIA driver is not loaded"), "{error}");
}

#[test]
fn a_library_that_lacks_everything_finds_nothing() {
    let Some(fake) = Fake::bare() else { return };
    let driver = fake.driver();
    assert!(matches!(driver.inventory(), Err(DriverError::Refused(_))));
    assert!(driver.vitals(vec![uuid(0)]).unwrap()[0].problem.is_some());
    assert_eq!(driver.usage(vec![uuid(0)]).unwrap(), []);
    let watched = driver.watch(&[uuid(0)], || Duration::ZERO, |_| ControlFlow::Break(()));
    assert!(matches!(watched, Err(DriverError::Refused(_))));
}

/// All but what tells devices apart may be refused.
#[test]
fn what_is_not_told_is_absent() {
    let Some(mut fake) = Fake::with_gpus(1) else { return };
    for symbol in ["MinorNumber", "Name", "MemoryInfo_v2", "PciInfo_v3", "NumaNodeId", "EccMode", "MigMode"] {
        fake.add(&format!("fail symbol=nvmlDeviceGet{symbol} rc=13"));
    }
    let gpu = fake.driver().inventory().unwrap().gpus.remove(0).whole;
    assert_eq!((gpu.uuid, gpu.minor, gpu.name.as_str()), (uuid(0), 0, "unknown model"));
    assert_eq!((gpu.memory_bytes, gpu.pci_bus_id, gpu.numa_node, gpu.ecc), (None, None, None, None));
}

#[test]
fn a_gpu_off_the_bus_is_named_and_left_out() {
    let Some(mut fake) = Fake::with_gpus(2) else { return };
    fake.set(0, "rc", 15);
    let found = fake.driver().inventory().unwrap();
    assert_eq!(found.gpus.len(), 1);
    assert_eq!(found.gpus[0].whole.uuid, uuid(1));
    assert_eq!(found.lost, ["GPU 0: device fell off the bus or has otherwise become inacessible"]);
}

#[test]
fn usage_and_vitals_are_told() {
    let Some(mut fake) = Fake::with_gpus(2) else { return };
    let driver = fake.driver();
    fake.set(1, "util", 93);
    let usage = driver.usage(vec![uuid(1), "GPU-none".into()]).unwrap();
    assert_eq!(usage.len(), 1);
    let text = serde_json::to_string(&usage[0]).unwrap();
    let expected = format!(
        r#"{{"uuid":"{}","name":"Fake_H200","utilization_percent":93,"memory_used_bytes":10,"memory_total_bytes":16000,"#,
        uuid(1)
    ) + r#""temperature_celsius":40,"power_milliwatts":70000}"#;
    assert_eq!(text, expected);
    fake.set(0, "dbe", 4);
    fake.set(1, "rc", 15);
    let vitals = driver.vitals(vec![uuid(0), uuid(1)]).unwrap();
    assert_eq!((vitals[0].uncorrected, vitals[0].energy, &vitals[0].problem), (Some(4), Some(1000), &None));
    assert!(vitals[1].problem.as_ref().unwrap().contains("fell off the bus"));
}

#[test]
fn events_are_told_in_order() {
    let Some(mut fake) = Fake::with_gpus(2) else { return };
    fake.add("event seq=1 gpu=1 type=8 data=79");
    fake.add("event seq=2 gpu=0 type=2 data=0 gi=3");
    fake.add("event seq=3 gpu=0 type=16");
    fake.add("event seq=4 gpu=0 type=256");
    let mut told = Vec::new();
    let watched = fake.driver().watch(
        &[uuid(0), uuid(1)],
        || Duration::from_millis(1),
        |event| match event {
            Some(event) => {
                told.push(event);
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        },
    );
    assert_eq!(watched, Ok(()));
    let event = |index, gpu_instance, kind| Event { gpu: Some(uuid(index)), gpu_instance, kind };
    let expected = [
        event(1, None, EventKind::Xid(79)),
        event(0, Some(3), EventKind::DoubleBit),
        event(0, None, EventKind::Divided),
    ];
    assert_eq!(told, expected);
}
