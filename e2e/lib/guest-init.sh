#!/bin/bash
# The first and only program of a machine that qemu plays (guest-host.ts): loads what a kernel needs for ESP and xfrm interfaces, then runs what it is told.
export PATH=/bin
stty raw -echo
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /run
# What it logs would get between the answers; and there is no program to look for modules.
echo 1 > /proc/sys/kernel/printk
echo > /proc/sys/kernel/modprobe
for module in /modules/*; do insmod "$module"; done
ip link set lo up
. /console-loop.sh
