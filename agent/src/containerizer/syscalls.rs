//! System calls that `nix` has no safe form of: new processes, descriptors of processes, mounts by descriptor,
//! capabilities. Nothing is decided here.

#![allow(unsafe_code, reason = "each of these is one system call with arguments of its own making")]

use std::ffi::{c_int, c_long, c_uint, c_ulong};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;

/// The parent of the new process is that of this one.
pub(super) const CLONE_PARENT: u64 = libc::CLONE_PARENT as u64;
/// Process ids of its own.
pub(super) const CLONE_NEWPID: u64 = libc::CLONE_NEWPID as u64;
/// System V objects and message queues of its own.
pub(super) const CLONE_NEWIPC: u64 = libc::CLONE_NEWIPC as u64;
/// Mounts of its own.
pub(super) const CLONE_NEWNS: u64 = libc::CLONE_NEWNS as u64;
/// The new process begins in a cgroup. (That of `libc` is too narrow.)
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// `SECBIT_NOROOT` of `linux/securebits.h`: root has no capabilities for being root.
pub(super) const NOROOT: u64 = 1;

/// `MOUNT_ATTR_RDONLY` and others of `linux/mount.h`.
pub(super) const MOUNT_READ_ONLY: u64 = 0x1;
pub(super) const MOUNT_NOSUID: u64 = 0x2;
pub(super) const MOUNT_NODEV: u64 = 0x4;
pub(super) const MOUNT_NOEXEC: u64 = 0x8;

/// `PIDFD_GET_INFO` of `linux/pidfd.h`, for the first form of its answer.
const PIDFD_GET_INFO: c_ulong = 0xc040_ff0b;
/// `PIDFD_INFO_EXIT`.
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// The first form of `struct pidfd_info`.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

/// `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

fn checked(returned: c_long) -> io::Result<c_long> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

fn descriptor(returned: c_long) -> io::Result<OwnedFd> {
    let fd = checked(returned)?;
    // SAFETY: the kernel has just made this descriptor for this process; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Copies this process, which must have one thread only: the new one's id, or `None` in the new one.
pub(super) fn clone_process(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Option<i32>> {
    // SAFETY: all zeros is a valid `clone_args`: no flags, no pointers.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = flags;
    if flags & CLONE_PARENT == 0 {
        arguments.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: `arguments` lives through the call. Without CLONE_VM and a stack the new process goes on here with a copy of
    // all memory; it is whole, for no other thread held a lock while it was copied.
    let pid = checked(unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    })?;
    Ok((pid != 0).then_some(pid as i32))
}

/// Ends this process at once: nothing is flushed, no handler is called.
pub(super) fn exit(status: u8) -> ! {
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(status.into()) }
}

/// Owns a descriptor that has come over a socket.
pub(super) fn received(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has made it for this process when the message was taken, and the caller has it from there.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A descriptor of a process; it can be read from when that has ended.
pub(super) fn open_process(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    descriptor(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK) })
}

/// Kills a process; one that is gone is no error.
pub(super) fn kill_process(process: BorrowedFd<'_>) {
    let nothing = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null `siginfo` is allowed.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), libc::SIGKILL, nothing, 0) };
}

/// The wait status of a process that was reaped by another one; `None`: not known, or not to this kernel.
pub(super) fn exit_of(process: BorrowedFd<'_>) -> Option<i32> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: `info` is as large as the request's number says, and lives through the call.
    let returned = unsafe { libc::ioctl(process.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (returned == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// A copy of a mount that is nowhere yet, with all below it.
pub(super) fn copy_of_mount(place: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::AT_EMPTY_PATH as c_uint
        | libc::AT_RECURSIVE as c_uint
        | libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a literal.
    descriptor(unsafe { libc::syscall(libc::SYS_open_tree, place.as_raw_fd(), c"".as_ptr(), flags) })
}

/// Sets attributes of a mount and of all below it.
pub(super) fn set_mount_attributes(mount: BorrowedFd<'_>, set: u64) -> io::Result<()> {
    let attributes = MountAttributes { set, ..MountAttributes::default() };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a literal; `attributes` lives through the call and its size is said.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
}

/// Puts a mount that is nowhere yet over a place.
pub(super) fn attach_mount(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> io::Result<()> {
    let (empty_from, empty_to): (c_uint, c_uint) = (0x4, 0x40);
    let (from, to) = (mount.as_raw_fd(), place.as_raw_fd());
    // SAFETY: the paths are literals.
    checked(unsafe {
        libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, c"".as_ptr(), empty_from | empty_to)
    })
    .map(drop)
}

/// Sets a limit of this process.
pub(super) fn set_limit(number: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let nothing = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: `limit` lives through the call, and a null pointer asks for nothing.
    checked(unsafe { libc::syscall(libc::SYS_prlimit64, 0, number, &raw const limit, nothing) }).map(drop)
}

fn control(option: c_int, second: c_ulong, third: c_ulong) -> io::Result<()> {
    let nothing: c_ulong = 0;
    // SAFETY: the options that are asked for here take numbers only.
    checked(unsafe { libc::prctl(option, second, third, nothing, nothing) }.into()).map(drop)
}

/// This process can never have a capability again.
pub(super) fn drop_bounding(capability: u8) -> io::Result<()> {
    control(libc::PR_CAPBSET_DROP, capability.into(), 0)
}

/// A capability outlives the execution of a program that has none of its own.
pub(super) fn raise_ambient(capability: u8) -> io::Result<()> {
    control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as c_ulong, capability.into())
}

/// Sets what being root means.
pub(super) fn set_secure_bits(bits: u64) -> io::Result<()> {
    control(libc::PR_SET_SECUREBITS, bits, 0)
}

/// Gives this process these capabilities, a bit each: effective and permitted, and inheritable.
pub(super) fn set_capabilities(held: u64, inheritable: u64) -> io::Result<()> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let half = |shift: u32| CapabilityData {
        effective: (held >> shift) as u32,
        permitted: (held >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: both live through the call; this version of the header says that there are two of the second.
    checked(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}
