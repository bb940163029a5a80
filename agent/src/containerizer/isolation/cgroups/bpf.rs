//! The one system call that attaches programs to cgroups.
#![allow(unsafe_code, reason = "bpf(2) has no safe form; each call hands over memory that outlives it")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::libc;

/// Of `enum bpf_cmd`.
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;
/// `BPF_PROG_TYPE_CGROUP_DEVICE`.
const CGROUP_DEVICE: u32 = 15;
/// `BPF_CGROUP_DEVICE`.
const ATTACH_DEVICE: u32 = 6;
/// `BPF_F_ALLOW_MULTI`: those of cgroups below add to it, and can't loosen it.
const ALLOW_MULTI: u32 = 2;
/// Most programs that are looked at.
const PROGRAMS: usize = 64;

/// One instruction, as the kernel reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    pub(super) code: u8,
    /// Source in the upper half, destination in the lower.
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) value: i32,
}

#[derive(Default)]
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

#[derive(Default)]
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

#[derive(Default)]
#[repr(C)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

#[derive(Default)]
#[repr(C)]
struct Id {
    id: u32,
    next: u32,
    flags: u32,
}

fn call<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_int> {
    let size = size_of::<T>();
    // SAFETY: `attributes` is a `repr(C)` beginning of the kernel's union, `size` its length, and what it points at is
    // borrowed by our callers for longer than the call.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size) };
    match done {
        0.. => Ok(done as libc::c_int),
        _ => Err(io::Error::last_os_error()),
    }
}

fn descriptor(number: libc::c_int) -> OwnedFd {
    // SAFETY: the kernel has just made it for us, nobody else has it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Loads a program that decides about devices.
pub(super) fn load(program: &[Instruction]) -> io::Result<OwnedFd> {
    let mut attributes = Load {
        kind: CGROUP_DEVICE,
        count: u32::try_from(program.len()).map_err(io::Error::other)?,
        instructions: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        ..Load::default()
    };
    call(PROG_LOAD, &mut attributes).map(descriptor)
}

/// Attaches a program to the cgroup of this directory.
pub(super) fn attach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: ATTACH_DEVICE,
        flags: ALLOW_MULTI,
    };
    call(PROG_ATTACH, &mut attributes).map(drop)
}

/// Detaches it.
pub(super) fn detach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: ATTACH_DEVICE,
        flags: 0,
    };
    call(PROG_DETACH, &mut attributes).map(drop)
}

/// The programs that are attached to this very cgroup.
pub(super) fn attached(cgroup: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0_u32; PROGRAMS];
    let mut query = Query {
        target: cgroup.as_raw_fd() as u32,
        kind: ATTACH_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: PROGRAMS as u32,
        ..Query::default()
    };
    call(PROG_QUERY, &mut query)?;
    let found = &ids[..(query.count as usize).min(PROGRAMS)];
    found
        .iter()
        .map(|id| call(PROG_GET_FD_BY_ID, &mut Id { id: *id, ..Id::default() }).map(descriptor))
        .collect()
}
