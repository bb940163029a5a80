#!/usr/bin/env bash
# two_cpus_v2.sh FILE... -- PROGRAM [ARGUMENT...]: runs a program as root in a machine of its own (qemu, emulated) with two CPUs, and
# cgroups of the second version alone, CPU sets among them: user-mode-linux has none of those. Of this machine's files it has
# the program, the FILEs, what they are linked with, and a shell. Its exit status is the script's.
# The kernel is $TWO_CPUS_KERNEL, or the newest in /boot.
set -euo pipefail
kernel=${TWO_CPUS_KERNEL:-$(find /boot -maxdepth 1 -name 'vmlinuz-*' | sort -V | tail -n 1)}
place=$(mktemp -d "${TMPDIR:-/tmp}/two-cpus.XXXXXX")
trap 'rm -rf "$place"' EXIT
root=$place/root
mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp}

# A file, where it is here, without what only a debugger wants, and all that it is linked with.
take() {
    local file
    for file in "$1" $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*'); do
        [ -e "$root$file" ] && continue
        mkdir -p "$root${file%/*}"
        cp -L "$file" "$root$file"
        strip --strip-debug "$root$file" 2>/dev/null || true
    done
}
take /bin/sh
for tool in bash sleep mount ln; do
    take "$(type -P "$tool")"
done
while [ "$1" != -- ]; do
    take "$1"
    shift
done
shift
take "$1"
cp /etc/passwd /etc/group "$root/etc/"
printf '%q ' "$@" >"$root/command"
cat >"$root/init" <<END
#!$(type -P bash)
export PATH=$PATH TMPDIR=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t cgroup2 cgroup /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
echo "begun with: \$(</sys/fs/cgroup/cgroup.controllers)"
eval "\$(</command)"
echo "exit status: \$?"
echo o >/proc/sysrq-trigger
exec sleep infinity
END
chmod +x "$root/init"
chmod 1777 "$root/tmp"
(cd "$root" && find . | cpio --create --format=newc --quiet) >"$place/memory"
timeout --kill-after=5 "${TWO_CPUS_TIMEOUT:-600}" qemu-system-x86_64 -M pc -cpu max -accel tcg,thread=multi -smp 2 -m 2G \
    -nodefaults -no-user-config -display none -serial stdio -no-reboot -kernel "$kernel" -initrd "$place/memory" \
    -append "console=ttyS0 panic=-1 quiet cgroup_no_v1=all" </dev/null 2>&1 | sed -u 's/\r$//' | tee "$place/said" || true
exit "$(sed -n 's/^exit status: //p' "$place/said" | tail -n 1 | grep . || echo 99)"
