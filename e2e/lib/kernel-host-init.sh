#!/bin/bash
# The first and only program of a host in user-mode Linux (kernel-host.ts): sets up what a kernel needs for ESP, then runs what it is
# told. A line on the console is a number and a command in base64; the answer is a line `@@ number exit-code output-in-base64`.
# All other lines are logs.
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
echo "@@ 0 0 "
while read -r number command; do
  (
    output=$(base64 -d <<<"$command" | bash 2>&1)
    code=$?
    answer="@@ $number $code $(base64 -w0 <<<"$output")"
    flock /run echo "$answer"
  ) &
done
