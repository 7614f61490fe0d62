#!/bin/busybox sh
# PID 1 of the test Linux. Every line that begins with PLX is for the harness (guest.rs):
#   PLX userspace SECONDS            PID 1 runs; seconds since the kernel began to count
#   PLX step NAME ok|failed          what was tried
#   PLX rate NAME MIB FROM TO        it took from FROM to TO, in seconds
#   PLX note TEXT                    for people
#   PLX verdict ok|failed            the end
/bin/busybox mkdir -p /proc /sys /dev /mnt
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
export PATH=/bin
now() { cut -d' ' -f1 /proc/uptime; }
say() { echo "PLX $*"; }
say userspace "$(now)"
dmesg -n 1
. /parallax.conf

verdict=ok
step() {
    name=$1
    shift
    if "$@"; then say step "$name" ok; else say step "$name" failed; verdict=failed; fi
}
rate() {
    name=$1
    shift
    from=$(now)
    "$@"
    result=$?
    say rate "$name" "$MIB" "$from" "$(now)"
    return $result
}
appears() {
    tries=0
    while [ ! -e "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || return 1
        usleep 20000
    done
}
forget() { sync && echo 3 >/proc/sys/vm/drop_caches; }
# FILE, MiB to skip: holds the known data?
known() { [ "$(dd if="$1" bs=1M skip="$2" count="$MIB" 2>/dev/null | sha256sum | cut -d' ' -f1)" = "$SUM" ]; }
read_all() { dd if="$1" of=/dev/null bs=1M count="$MIB" 2>/dev/null; }
copy() { dd if="$1" of="$2" bs=1M count="$MIB" seek="$3" conv=fsync 2>/dev/null; }

step cpus [ "$(grep -c ^processor /proc/cpuinfo)" = "$CPUS" ]
for module in failover net_failover virtio_net virtio_blk nvme-core nvme; do
    if [ -e /modules/$module.ko ]; then insmod /modules/$module.ko; fi
done
nvme=/dev/nvme0n1
virtio=/dev/vda
step nvme_appears appears $nvme
step virtio_appears appears $virtio

# From the disks: what the harness put at their beginning. Then across, each to the other, behind that.
step nvme_read rate nvme_read read_all $nvme
step virtio_read rate virtio_read read_all $virtio
step nvme_known known $nvme 0
step virtio_known known $virtio 0
forget
step nvme_write rate nvme_write copy $virtio $nvme "$MIB"
step virtio_write rate virtio_write copy $nvme $virtio "$MIB"
forget
step nvme_kept known $nvme "$MIB"
step virtio_kept known $virtio "$MIB"

# A file system; it takes the whole disk.
file_system() {
    mke2fs -F $nvme >/dev/null 2>&1 &&
        mount -t ext4 $nvme /mnt &&
        copy $virtio /mnt/data 0 &&
        umount /mnt && forget &&
        mount -t ext4 $nvme /mnt &&
        known /mnt/data 0 &&
        umount /mnt
}
step ext4 file_system

ping_gateway() { ifconfig eth0 10.0.2.15 up && ping -c 2 -W 5 10.0.2.2 >/dev/null; }
step virtio_net ping_gateway

complaints() { dmesg | grep -E 'Oops|BUG:|WARNING:|I/O error|arm-smmu-v3.*(event|error|timeout)'; }
[ -z "$(complaints)" ]
step no_complaints [ $? = 0 ]
complaints | head -n 20
say note "$(ls /sys/kernel/iommu_groups 2>/dev/null | wc -l) IOMMU groups"
say verdict $verdict
poweroff -f
