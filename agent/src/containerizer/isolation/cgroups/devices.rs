//! `cgroups/devices`: the device files that a container may use.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use nix::sys::stat::{major, minor};
use protocol::ContainerId;
use serde_json::{Value, json};

use super::super::{
    Container, DeviceControl, DeviceRule, IsolationError, Isolator, Known, LaunchPlan, Surroundings,
};
use super::bpf::{self, Instruction};
use super::hierarchy::Controller;
use super::{Group, told};

/// What every process needs: null, zero, full, random, urandom, tty, console, ptmx and its terminals. Source: Mesos and
/// Docker, without virtual consoles, the tunnel, and nodes that are only made.
const NEEDED: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// The isolator.
pub struct DevicesIsolator {
    group: Group,
    allowed: Vec<DeviceRule>,
}

impl DevicesIsolator {
    /// Where a hierarchy has the controller, or the kernel takes programs for it.
    ///
    /// # Errors
    /// Why it can't work here.
    pub fn make(around: &Surroundings) -> Result<Arc<dyn Isolator>, String> {
        let group = Group::new(Controller::Devices, around)?;
        let needed =
            NEEDED.iter().map(|(major, minor)| DeviceRule { block: false, major: *major, minor: *minor });
        let allowed: Vec<DeviceRule> =
            needed.chain(around.settings.cgroups.allowed_devices.iter().copied()).collect();
        bpf_is_there(&group, &allowed)?;
        let own = Arc::new(Self { group, allowed });
        around.devices.enforce(own.clone());
        Ok(own)
    }
}

fn bpf_is_there(group: &Group, allowed: &[DeviceRule]) -> Result<(), String> {
    if group.driver.version() == super::Version::V1 {
        return Ok(());
    }
    let refused = |error| format!("the kernel takes no program that decides about devices: {error}");
    bpf::load(&program(allowed)).map(drop).map_err(refused)
}

impl DeviceControl for DevicesIsolator {
    fn grant(&self, container_id: &ContainerId, rules: &[DeviceRule]) -> Result<(), IsolationError> {
        let mut all: Vec<DeviceRule> = self.allowed.iter().chain(rules).copied().collect();
        all.sort();
        all.dedup();
        self.group.driver.set_devices(&self.group.of(container_id), &all).map_err(told)
    }
}

impl Isolator for DevicesIsolator {
    fn name(&self) -> &'static str {
        "cgroups/devices"
    }

    fn prepare(&self, container: &Container<'_>, plan: &mut LaunchPlan) -> Result<Value, IsolationError> {
        let container_id = &container.spec.container_id;
        self.group.make(container_id, plan)?;
        self.grant(container_id, &[])?;
        Ok(json!({}))
    }

    fn recover(&self, known: &Known<'_>) -> Result<(), IsolationError> {
        if known.state.is_null() {
            return Ok(());
        }
        // What was granted beside it stays until it is said anew: the cgroup has it.
        self.group.known(known.container_id).map(drop)
    }

    fn cleanup(&self, container_id: &ContainerId) -> Result<(), IsolationError> {
        self.group.remove(container_id)
    }
}

/// The device files of `--allowed_devices`: paths, separated by commas.
///
/// # Errors
/// One is not there, or no device file.
pub fn parse_allowed(paths: &str) -> Result<Vec<DeviceRule>, String> {
    let one = |path: &str| {
        let about =
            fs::metadata(path).map_err(|error| format!("can't find the device file '{path}': {error}"))?;
        let (block, kind) = (about.file_type().is_block_device(), about.file_type());
        if !block && !kind.is_char_device() {
            return Err(format!("'{path}' is no device file"));
        }
        let number = about.rdev();
        let part =
            |part: u64| u32::try_from(part).map_err(|_| format!("'{path}' has a number beyond all bounds"));
        Ok(DeviceRule { block, major: part(major(number))?, minor: Some(part(minor(number))?) })
    };
    paths.split(',').map(str::trim).filter(|path| !path.is_empty()).map(one).collect()
}

/// Lets a program decide about the devices of a cgroup, in the place of those before it.
pub(super) fn attach(cgroup: &Path, rules: &[DeviceRule]) -> io::Result<()> {
    let directory = File::open(cgroup)?;
    let earlier = bpf::attached(directory.as_fd())?;
    let program = bpf::load(&program(rules))?;
    // While both are there only what both allow can be used.
    bpf::attach(directory.as_fd(), program.as_fd())?;
    earlier.iter().try_for_each(|old| bpf::detach(directory.as_fd(), old.as_fd()))
}

/// A program that allows these: `context` has kind and access in its first word, then the major and the minor number.
fn program(rules: &[DeviceRule]) -> Vec<Instruction> {
    const CONTEXT: u8 = 1;
    const KIND: u8 = 2;
    const MAJOR: u8 = 3;
    const MINOR: u8 = 4;
    let load =
        |into: u8, offset| Instruction { code: 0x61, registers: CONTEXT << 4 | into, offset, value: 0 };
    let unless = |register, value, skip| Instruction { code: 0x55, registers: register, offset: skip, value };
    let answer = |value| {
        [
            Instruction { code: 0xb7, registers: 0, offset: 0, value },
            Instruction { code: 0x95, registers: 0, offset: 0, value: 0 },
        ]
    };
    let mut all = vec![load(KIND, 0), load(MAJOR, 4), load(MINOR, 8)];
    // Kinds are in the lower half: 1 is a block device, 2 one of characters.
    all.push(Instruction { code: 0x54, registers: KIND, offset: 0, value: 0xffff });
    for rule in rules {
        // No device has a number beyond the kernel's 12 and 20 bits.
        let (Ok(major), Ok(minor)) = (i32::try_from(rule.major), rule.minor.map(i32::try_from).transpose())
        else {
            continue;
        };
        let rest = if minor.is_some() { 4 } else { 3 };
        all.push(unless(KIND, if rule.block { 1 } else { 2 }, rest));
        all.push(unless(MAJOR, major, rest - 1));
        all.extend(minor.map(|minor| unless(MINOR, minor, 2)));
        all.extend(answer(1));
    }
    all.extend(answer(0));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do.
    fn run(program: &[Instruction], kind: u32, major: u32, minor: u32) -> i32 {
        let words = [kind | 6 << 16, major, minor];
        let (mut registers, mut at) = ([0_i64; 11], 0);
        loop {
            let Instruction { code, registers: which, offset, value } = program[at];
            let into = usize::from(which & 0xf);
            at += 1;
            match code {
                0x61 => registers[into] = i64::from(words[offset as usize / 4]),
                0x54 => registers[into] &= i64::from(value),
                0x55 if registers[into] != i64::from(value) => at += offset as usize,
                0x55 => {}
                0xb7 => registers[into] = i64::from(value),
                0x95 => return registers[0] as i32,
                _ => panic!("{code}"),
            }
        }
    }

    #[test]
    fn a_program_allows_what_it_was_told() {
        let rule = |block, major, minor| DeviceRule { block, major, minor };
        let program = program(&[rule(false, 1, Some(3)), rule(true, 254, Some(0)), rule(false, 136, None)]);
        assert_eq!(run(&program, 2, 1, 3), 1);
        assert_eq!(run(&program, 1, 1, 3), 0);
        assert_eq!(run(&program, 2, 1, 5), 0);
        assert_eq!(run(&program, 1, 254, 0), 1);
        assert_eq!(run(&program, 2, 136, 77), 1);
        assert_eq!(run(&program, 2, 195, 0), 0);
    }

    #[test]
    fn device_files_are_found() {
        let found = parse_allowed("/dev/null, /dev/full").unwrap();
        let rule = |minor| DeviceRule { block: false, major: 1, minor: Some(minor) };
        assert_eq!(found, [rule(3), rule(7)]);
        assert!(parse_allowed("/etc/passwd").unwrap_err().contains("no device file"));
        assert!(parse_allowed("/nowhere").is_err());
    }
}
