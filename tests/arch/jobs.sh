# SPDX-License-Identifier: MIT
# What runs in the machine of tests/arch/run: each line of /srv/jobs is a name, seconds, and a command.
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LANG=C.UTF-8
mount -t sysfs sys /sys
mkdir -p /dev/shm /dev/pts
mount -t devpts pts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=0755 run /run
ln -sf /proc/self/fd /dev/fd
busybox ifconfig lo 127.0.0.1 up
cd /srv/tree
while read -r name seconds command; do
    echo "@@ begin $name"
    timeout -s KILL "$seconds" sh -c "$command" </dev/null 2>&1
    echo "@@ end $name $?"
done </srv/jobs
sync
busybox poweroff -f
