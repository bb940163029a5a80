//! What containers get, and keep.

use serde_json::{Value, json};

use super::super::super::{Chosen, Usage};
use super::super::GpuSettings;
use super::fake::{Fake, uuid};
use super::machine::{Machine, remove_cgroups, surroundings};

fn machine(gpus: u32) -> Option<Machine> {
    Fake::with_gpus(gpus).map(Machine::new)
}

#[tokio::test]
async fn each_container_gets_gpus_of_its_own() {
    let Some(machine) = machine(4) else { return };
    let (environment, state) = machine.prepare("a", "1").unwrap();
    assert_eq!(environment["NVIDIA_VISIBLE_DEVICES"], uuid(0));
    assert_eq!(environment["CUDA_VISIBLE_DEVICES"], uuid(0));
    assert_eq!(state, json!({ "gpus": [uuid(0)] }));
    assert_eq!(machine.granted.of("a"), ["c 195:0 rwm", "c 195:255 rwm"]);
    // The pair that is whole, not the other one of the first.
    let (environment, _) = machine.prepare("b", "2").unwrap();
    assert_eq!(environment["CUDA_VISIBLE_DEVICES"], format!("{},{}", uuid(2), uuid(3)));
    assert_eq!(machine.granted.of("b"), ["c 195:2 rwm", "c 195:3 rwm", "c 195:255 rwm"]);
    assert_eq!(machine.prepare("c", "2").unwrap_err(), "2 GPUs are wanted, 1 are free and well");
    machine.cleanup("c");
    assert_eq!(machine.prepare("d", "1").unwrap().1, json!({ "gpus": [uuid(1)] }));
    machine.cleanup("b");
    assert_eq!(machine.prepare("e", "2").unwrap().1, json!({ "gpus": [uuid(2), uuid(3)] }));
}

#[tokio::test]
async fn a_container_without_gpus_sees_none() {
    let Some(machine) = machine(1) else { return };
    let (environment, state) = machine.prepare("a", "0").unwrap();
    assert_eq!(environment["NVIDIA_VISIBLE_DEVICES"], "void");
    assert_eq!(environment["CUDA_VISIBLE_DEVICES"], "");
    assert_eq!(state, Value::Null);
    let halves = machine.prepare("b", "0.5").unwrap_err();
    assert_eq!(halves, "GPUs can't be shared: 'gpus' must be a whole number, not 0.5");
}

#[tokio::test]
async fn a_restart_keeps_who_owns_what() {
    let Some(machine) = machine(4) else { return };
    let (_, one) = machine.prepare("a", "1").unwrap();
    let (_, two) = machine.prepare("b", "2").unwrap();
    let (_, none) = machine.prepare("c", "0").unwrap();
    let machine = machine.restart();
    machine.recover("b", "2", &two).unwrap();
    machine.recover("a", "1", &one).unwrap();
    machine.recover("c", "0", &none).unwrap();
    assert_eq!(machine.prepare("d", "1").unwrap().1, json!({ "gpus": [uuid(1)] }));
    assert!(machine.prepare("e", "1").is_err());
    assert!(machine.recover("f", "1", &one).unwrap_err().contains("belongs to container a"));
}

#[tokio::test]
async fn tasks_come_and_go_and_a_restart_knows() {
    let Some(machine) = machine(4) else { return };
    let (_, began) = machine.prepare("a", "0").unwrap();
    machine.update("a", "3").unwrap();
    assert_eq!(machine.granted.of("a").len(), 4);
    machine.update("a", "1").unwrap();
    assert_eq!(machine.granted.of("a"), ["c 195:2 rwm", "c 195:255 rwm"], "a pair is given back");
    machine.update("a", "2").unwrap();
    assert!(machine.update("a", "5").unwrap_err().contains("3 GPUs are wanted, 2 are free"));
    let machine = machine.restart();
    machine.recover("a", "2", &began).unwrap();
    assert_eq!(machine.granted.of("a"), ["c 195:2 rwm", "c 195:3 rwm", "c 195:255 rwm"], "said anew");
    assert_eq!(machine.prepare("b", "2").unwrap().1, json!({ "gpus": [uuid(0), uuid(1)] }));
    // Of the next container with this name nothing is known.
    machine.cleanup("a");
    let machine = machine.restart();
    machine.recover("a", "0", &began).unwrap();
    assert!(machine.granted.of("a").is_empty());
}

#[tokio::test]
async fn a_gpu_that_is_gone_after_a_restart_ends_its_container() {
    let Some(mut machine) = machine(2) else { return };
    let (_, state) = machine.prepare("a", "2").unwrap();
    machine.fake.set(1, "rc", 15);
    let mut machine = machine.restart();
    assert_eq!(
        machine.around.settings.gpu.total.gpus().millis(),
        2000,
        "the agent begins with what its tasks hold"
    );
    assert_eq!(machine.offers().await, "cpus:4;gpus:1");
    let error = machine.recover("a", "2", &state).unwrap_err();
    let expected = format!(
        "the container's GPU is lost: GPU 1 (Fake_H200, {}): it was gone when the agent began",
        uuid(1)
    );
    assert_eq!(error, expected);
    assert!(machine.prepare("b", "1").is_err(), "until it is ended, the other one is its own");
    machine.cleanup("a");
    assert!(machine.prepare("b", "1").is_ok());
    machine.fake.set(1, "rc", 0);
    assert_eq!(machine.offers().await, "cpus:4;gpus:2", "it is back");
    assert!(machine.prepare("c", "1").is_ok());
}

#[tokio::test]
async fn without_the_driver_of_an_earlier_life_its_containers_end() {
    let Some(machine) = machine(1) else { return };
    let (_, state) = machine.prepare("a", "1").unwrap();
    let place = machine.around.runtime_dir.clone();
    let mut gpu = GpuSettings::find(Some("/nowhere".as_ref()), "").unwrap();
    gpu.remember(&place).unwrap();
    assert_eq!(gpu.devices.all.len(), 1);
    gpu.total = "cpus:4;gpus:1".parse().unwrap();
    let mut machine = machine.again(gpu);
    assert_eq!(machine.offers().await, "cpus:4");
    assert!(machine.recover("a", "1", &state).unwrap_err().contains("is lost"));
}

#[tokio::test]
async fn what_its_gpus_do_is_told() {
    let Some(mut machine) = machine(2) else { return };
    machine.prepare("a", "1").unwrap();
    machine.fake.set(0, "util", 77);
    let mut usage = Usage::default();
    machine.isolator.usage(&"a".into(), &mut usage);
    let gpu = &usage.gpus[0];
    assert_eq!(
        (usage.gpus.len(), gpu.uuid.as_str(), gpu.utilization_percent),
        (1, uuid(0).as_str(), Some(77))
    );
    let mut usage = Usage::default();
    machine.isolator.usage(&"other".into(), &mut usage);
    assert_eq!(usage.gpus, []);
}

#[tokio::test]
async fn without_a_driver_there_is_one_line() {
    let place = tempfile::tempdir().unwrap();
    let none = GpuSettings::find(Some("/nowhere/libnvidia-ml.so.1".as_ref()), "").unwrap();
    let (around, _broken, _offered) = surroundings(place.path(), none);
    let chosen = Chosen::from_names("auto", &around).unwrap();
    let lines: Vec<_> = chosen.missing().iter().filter(|(_, why)| why.contains("GPU")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].1.starts_with("no GPUs: /nowhere/libnvidia-ml.so.1: "), "{lines:?}");
    assert!(!chosen.names().iter().any(|name| ["gpu/nvidia", "cgroups/devices"].contains(name)));
    remove_cgroups(&around);
    let error = Chosen::from_names("gpu", &around).unwrap_err().to_string();
    assert!(error.starts_with("the isolator 'gpu/nvidia' can't work here: no GPUs: "), "{error}");
}

#[test]
fn gpus_that_are_named_must_be_there() {
    let Some(mut fake) = Fake::with_gpus(3) else { return };
    let found = |wanted: &str| {
        let settings = GpuSettings::find(Some(&fake.library()), wanted).map_err(|error| error.to_string())?;
        Ok::<_, String>(settings.devices.all.iter().map(|device| device.index).collect::<Vec<_>>())
    };
    assert_eq!(found("0, 2"), Ok(vec![0, 2]));
    assert_eq!(found(&uuid(1)), Ok(vec![1]));
    let error = found("0,7").unwrap_err();
    assert!(
        error.starts_with("--nvidia_gpu_devices names 7, which is not there; there are: GPU 0 (Fake_H200"),
        "{error}"
    );
    let error = GpuSettings::find(Some("/nowhere".as_ref()), "0").unwrap_err().to_string();
    assert!(
        error.starts_with("--nvidia_gpu_devices names GPUs, and none can be found: /nowhere: "),
        "{error}"
    );
    fake.set(1, "mig", 1);
    fake.add("instance gpu=1 index=0 uuid=MIG-a name=Fake gi=1 ci=0 mem=1");
    fake.add("instance gpu=1 index=1 uuid=MIG-b name=Fake gi=2 ci=0 mem=1");
    let named = |wanted: &str| {
        let settings = GpuSettings::find(Some(&fake.library()), wanted).unwrap();
        settings.devices.all.into_iter().map(|device| device.uuid).collect::<Vec<_>>()
    };
    assert_eq!(named("1"), ["MIG-a", "MIG-b"]);
    assert_eq!(named("MIG-b,0"), [uuid(0), "MIG-b".into()]);
    assert_eq!(named("").len(), 4);
}
