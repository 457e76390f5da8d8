import { spawn } from "node:child_process";
import { join } from "node:path";
import { cloudKernel } from "./cloud-kernel.ts";
import { ConsoleHost, type LoneKernelHost } from "./console-host.ts";
import { programDirectory, writeGuestImage } from "./guest-image.ts";

/*
 * A whole machine with a kernel of Debian's, played by qemu without any help of the processor (KVM is not to be had everywhere): for what user-mode Linux's kernel lacks. Its processor is some
 * ten times slower than the one it is played on.
 */
const program = "/usr/bin/qemu-system-x86_64";
const memoryMegabytes = 1_024;
/** On two quiet processors some 9 s, of which the kernel takes 6. */
const longestStartMilliseconds = 90_000;

/** What a machine lacks for it: files of the packages qemu-system-x86 and kmod. */
export function missingForGuestHost(exists: (path: string) => boolean): string[] {
  return [program, "/usr/sbin/modprobe", "/usr/sbin/depmod"].filter((path) => !exists(path));
}

/**
 * @param directory an existing directory of its own.
 * @param sources TypeScript programs that are to run there, with those of their workers; `commandOf` says how.
 */
export async function startGuestHost(directory: string, sources: readonly string[]): Promise<LoneKernelHost> {
  const kernel = cloudKernel();
  if (kernel === null) throw new Error("the guest's kernel is not there: run.ts fetches it");
  const image = join(directory, "guest.cpio");
  await writeGuestImage(image, kernel, sources);
  const machine = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"];
  const parts = ["-m", `${memoryMegabytes}`, "-serial", "stdio", "-kernel", join(kernel.root, "boot", `vmlinuz-${kernel.release}`), "-initrd", image];
  const commandLine = "console=ttyS0 quiet panic=-1 mitigations=off rdinit=/guest-init.sh";
  const child = spawn(program, [...machine, ...parts, "-append", commandLine], { stdio: ["pipe", "pipe", "inherit"] });
  return ConsoleHost.over("the guest", child, longestStartMilliseconds);
}

/** How a program of `sources` is run there. */
export function commandOf(name: string): string[] {
  return ["node", `${programDirectory}/${name}.mjs`];
}
