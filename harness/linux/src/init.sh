#!/bin/busybox sh
# PID 1 of the test Linux. Every line that begins with PLX is for the harness (guest.rs):
#   PLX userspace SECONDS            PID 1 runs; seconds since the kernel began to count
#   PLX step NAME ok|failed          what was tried
#   PLX begin NAME                   something begins that gets a rate
#   PLX rate NAME MIB FROM TO        it took from FROM to TO, in seconds
#   PLX symbol NAME ADDRESS          of the kernel, in hexadecimal
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
while read -r symbol; do
    address=$([ -z "$symbol" ] || grep " $symbol\$" /proc/kallsyms | head -n 1 | cut -d' ' -f1)
    [ -z "$address" ] || say symbol "$symbol" "$address"
done </symbols

verdict=ok
step() {
    name=$1
    shift
    if "$@"; then say step "$name" ok; else say step "$name" failed; verdict=failed; fi
}
rate() {
    name=$1
    shift
    say begin "$name"
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
# From FILE, MiB to skip, to FILE, MiB to skip.
copy() { dd if="$1" skip="$2" of="$3" seek="$4" bs=1M count="$MIB" conv=fsync 2>/dev/null; }

step cpus [ "$(grep -c ^processor /proc/cpuinfo)" = "$CPUS" ]
while read -r module; do
    insmod "/modules/$module.ko" || say note "the kernel did not take the module $module"
done </modules/order
# A device for others to use. The kernel gives it a domain when a driver is offered it, even one that declines; a
# translated domain would be of no use.
if [ "$OPERATIONS" = yes ] && [ "$SMMU" = yes ]; then
    echo "1234 11e8" >/sys/bus/pci/drivers/virtio-pci/new_id
    group=$(readlink -f "$(dirname "$(grep -l 0x11e8 /sys/bus/pci/devices/*/device)")/iommu_group")
    echo identity >"$group/type"
    step device_for_others [ "$(cat "$group/type")" = identity ]
fi
nvme=/dev/nvme0n1
virtio=/dev/vda
step nvme_appears appears $nvme
step virtio_appears appears $virtio

# Nothing but rates, MEASURE times.
if [ "$MEASURE" != 0 ]; then
    for _ in $(seq "$MEASURE"); do
        forget
        step nvme_read rate nvme_read read_all $nvme
        step virtio_read rate virtio_read read_all $virtio
        step nvme_write rate nvme_write copy $virtio 0 $nvme "$BEHIND"
        step virtio_write rate virtio_write copy $nvme 0 $virtio "$BEHIND"
    done
    say verdict $verdict
    poweroff -f
fi

# From the disks: what the harness put at their beginning. Then across, each to the other, behind the room of a file
# system.
step nvme_read rate nvme_read read_all $nvme
step virtio_read rate virtio_read read_all $virtio
step nvme_known known $nvme 0
step virtio_known known $virtio 0
forget
step nvme_write rate nvme_write copy $virtio 0 $nvme "$BEHIND"
step virtio_write rate virtio_write copy $nvme 0 $virtio "$BEHIND"
forget
step nvme_kept known $nvme "$BEHIND"
step virtio_kept known $virtio "$BEHIND"

# A file system at the beginning of each disk, with what lies behind the file system of the other.
file_system() {
    mke2fs -F "$1" $((BEHIND * 1024)) >/dev/null 2>&1 &&
        mount -t ext4 "$1" /mnt &&
        copy "$2" "$BEHIND" /mnt/data 0 &&
        umount /mnt && forget &&
        mount -t ext4 "$1" /mnt &&
        known /mnt/data 0 &&
        umount /mnt
}
step nvme_ext4 file_system $nvme $virtio
step virtio_ext4 file_system $virtio $nvme

# The network: an answer of the gateway; then known data from a port, and known data to another one.
ping_gateway() { ifconfig eth0 10.0.2.15 up && ping -c 2 -W 5 10.0.2.2 >/dev/null; }
receive() {
    mkfifo /received
    nc 10.0.2.100 1 </dev/null >/received &
    sum=$(head -c "$((NET_MIB << 20))" </received | sha256sum | cut -d' ' -f1)
    kill $! 2>/dev/null
    [ "$sum" = "$NET_SUM" ]
}
# All of it has arrived when the other end has acknowledged the end: state FIN-WAIT-2, which /proc/net/tcp calls 05.
send() {
    dd if=$nvme bs=1M skip="$BEHIND" count="$NET_MIB" 2>/dev/null | nc 10.0.2.100 2 >/dev/null &
    tries=0
    while ! grep -q '64 *[0-9A-F:]*:0002 05 ' /proc/net/tcp; do
        tries=$((tries + 1))
        [ $tries -lt 3000 ] || return 1
        usleep 20000
    done
    kill $!
}
step virtio_net ping_gateway
step net_receive receive
step net_send send

# A driver let go of its device and took again. Where the kernel has an SMMU, the device's domain changes on the way: from
# translated to identity or the other way round, and back.
rebind() {
    driver=/sys/bus/pci/drivers/nvme
    address=$(cd $driver && echo 0000:*)
    group=/sys/bus/pci/devices/$address/iommu_group/type
    echo "$address" >$driver/unbind || return 1
    [ -z "$1" ] || echo "$1" >"$group" || return 1
    echo "$address" >$driver/bind || return 1
    [ -z "$1" ] || [ "$(cat "$group")" = "$1" ] || return 1
    appears $nvme && known $nvme "$BEHIND"
}
if [ "$SMMU" = yes ]; then
    case $(cat /sys/kernel/iommu_groups/0/type) in
    identity) types="DMA identity" ;;
    *) types="identity DMA" ;;
    esac
    for type in $types; do step "nvme_to_$type" rebind "$type"; done
else
    step nvme_rebound rebind ""
fi

# The kernel's log: levels up to 4 are warnings and worse. Its SMMU driver has nothing to warn of.
smmu_probed() { dmesg | grep -q 'arm-smmu-v3.*allocated .* entries for evtq'; }
groups=$(ls /sys/kernel/iommu_groups 2>/dev/null | wc -l)
if [ "$SMMU" = yes ]; then
    step smmu_probed smmu_probed
    step iommu_groups [ "$groups" -ge 3 ]
else
    step no_smmu [ "$groups" = 0 ]
fi
# What the device for others (StreamID 0x28) is refused is no complaint: the kernel prints it, in five lines, and of many at once
# that it left some out.
log() {
    if [ "$OPERATIONS" = yes ]; then
        dmesg -r | awk '/arm_smmu_evtq_thread: [0-9]+ callbacks suppressed/ { next } /event 0x10 received/ { line = $0; getline; if ($NF ~ /^0x00000028/) next; print line } { print }'
    else
        dmesg -r
    fi
}
if [ "$OPERATIONS" = yes ] && [ "$SMMU" = yes ]; then
    refused() { dmesg | grep -q '0x0000002800000010'; }
    step device_refused refused
fi
complaints() { log | grep -E '^<[0-4]>.*(smmu|iommu)|^<[0-3]>.*(nvme|virtio|blk|EXT4)|arm-smmu-v3.*(event |rror|imeout|imed)|Oops|BUG:|WARNING:|I/O error'; }
[ -z "$(complaints)" ]
step no_complaints [ $? = 0 ]
complaints | head -n 20 | while read -r line; do say note "$line"; done
say note "$groups IOMMU groups"
say verdict $verdict
poweroff -f
