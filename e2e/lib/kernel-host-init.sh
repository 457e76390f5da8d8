#!/bin/bash
# The first and only program of a host in user-mode Linux (kernel-host.ts): sets up what a kernel needs for ESP, then runs what it is
# told.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
stty raw -echo
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /run
# modprobe looks below lib/modules of its directory; the package has the modules below usr/lib/uml/modules.
mkdir -p /run/modules/lib
ln -s /usr/lib/uml/modules /run/modules/lib/modules
# The kernel would look for what it misses in the host's directory, a quarter of a second each time.
echo > /proc/sys/kernel/modprobe
modules="esp4 esp6 ah4 ah6 xfrm_user aes_generic ctr ghash-generic gcm cbc hmac sha256_generic sha512_generic drbg jitterentropy_rng seqiv echainiv authenc authencesn"
# A parameter of the kernel's command line that it does not know is its first program's environment.
modprobe -d /run/modules -a $modules ${EXTRA_MODULES//,/ }
mount -t tmpfs tmp /mnt
. "${0%/*}/console-loop.sh"
