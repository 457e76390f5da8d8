import { errno, libc } from "./native.ts";

const CLONE_NEWNET = 0x40000000;

/** Moves this thread into a network namespace of ip-netns(8): what it opens from now on is there. @throws Error when it may not or there is none. */
export function enterNetworkNamespace(name: string): void {
  const fd: number = libc.open(`/run/netns/${name}`, 0o2000000);
  if (fd < 0) throw new Error(`there is no network namespace ${name} (errno ${errno()})`);
  const entered = libc.setns(fd, CLONE_NEWNET) === 0;
  const code = errno();
  libc.close(fd);
  if (!entered) throw new Error(`the network namespace ${name} cannot be entered (errno ${code})`);
}
