#!/usr/bin/env bash
# pure_v2.sh PROGRAM [ARGUMENT...]: runs a program as root in a kernel of its own (user-mode-linux) that has cgroups of the
# second version alone. It sees this machine's files; what it writes vanishes with it. Its exit status is the script's.
set -euo pipefail
modules=$(find /usr/lib/uml/modules -mindepth 1 -maxdepth 1 -type d | head -n 1)
place=$(mktemp -d "${TMPDIR:-/tmp}/pure-v2.XXXXXX")
trap 'rm -rf "$place"' EXIT
printf '%q ' "$@" >"$place/command"
export -p >"$place/environment"

# The first process: this machine's files below, memory above.
cat >"$place/first" <<END
#!/bin/bash
place=$place
modules=$modules
END
cat >>"$place/first" <<'END'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
insmod "$modules/kernel/fs/overlayfs/overlay.ko"
mount -t tmpfs memory /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay root -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
cd /mnt/root
mount -t proc proc proc
mount -t sysfs sys sys
mount -t cgroup2 cgroup sys/fs/cgroup
mount -t devtmpfs dev dev
mkdir -p dev/shm dev/pts ".$place"
ln -s /proc/self/fd dev/fd
mount -t devpts pts dev/pts
mount -t tmpfs shm dev/shm
# The way back out.
mount -t hostfs none ".$place" -o "$place"
exec chroot . /bin/bash -c '
    place=$1
    . "$place/environment"
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/tmp
    insmod "$2/kernel/drivers/block/loop.ko" 2>/dev/null
    ip link set lo up
    eval "$(cat "$place/command")"
    echo $? >"$place/status"
    sync
    echo o >/proc/sysrq-trigger
    exec sleep infinity' first "$place" "$modules"
END
chmod +x "$place/first"
timeout --kill-after=5 "${PURE_V2_TIMEOUT:-600}" linux.uml mem=1G rootfstype=hostfs rootflags=/ ro init="$place/first" \
    con=null con0=fd:0,fd:1 ssl=null quiet loglevel=0 </dev/null 2>&1 | sed -u 's/\r$//' || true
exit "$(cat "$place/status" 2>/dev/null || echo 99)"
