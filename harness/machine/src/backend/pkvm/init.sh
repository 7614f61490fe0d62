#!/bin/busybox sh
# PID 1 of a kernel with pKVM: says at the second serial port where the hypervisor is, then waits for ever.
#   release TEXT        of the kernel
#   cpus NUMBER         that came up
#   ADDRESS TYPE NAME   lines of /proc/kallsyms
#   FROM-TO : NAME      lines of /proc/iomem
#   guest TEXT          of /guest, where there is one: `ok` once it has had a virtual machine run, or what became of it
#   end
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
[ -c /dev/ttyAMA1 ] || echo "no second serial port"
exec >/dev/ttyAMA1
stty -onlcr
echo 0 >/proc/sys/kernel/kptr_restrict
echo "release $(uname -r)"
echo "cpus $(grep -c ^processor /proc/cpuinfo)"
grep -E ' (__kvm_nvhe_[^ ]*|_text|_etext|__hyp_[^ ]*|hyp_mem_base|hyp_mem_size|cpu_do_idle|kvm_arm_init|nvhe_hyp_panic_handler|empty_zero_page)$' /proc/kallsyms
grep -E 'System RAM|Kernel code' /proc/iomem
if [ -x /guest ]; then
    /guest >/said &
    guest=$!
    while kill -0 $guest 2>/dev/null && ! [ -s /said ]; do sleep 1; done
    if [ -s /said ]; then
        cat /said
    else
        wait $guest
        echo "guest ended with $?"
    fi
fi
echo end
# So that each CPU wakes and idles again.
for cpu in 0 1 2 3 4 5 6 7; do
    taskset $((1 << cpu)) sh -c 'while :; do sleep 1; done' 2>/dev/null &
done
while :; do sleep 1; done
