import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { removeAtExit } from "./cleanup.ts";
import type { Site, ThreeNamespaces } from "./namespaces.ts";
import { pollUntil } from "./poll.ts";
import type { CommandResult } from "./run-command.ts";

/*
 * A host with a kernel of its own: Debian's user-mode Linux. It is there because a machine that tests need not have ESP in its kernel,
 * and strongSwan's userspace ESP knows no extended sequence numbers.
 */

const program = "/usr/bin/linux.uml";
const init = join(import.meta.dirname, "kernel-host-init.sh");
const device = "right0";

export interface LoneKernelHost extends Pick<Site, "try"> {
  run(argv: readonly string[], options?: { timeoutMilliseconds?: number }): Promise<string>;
  /** Starts a program that stays; what it writes is in the log. */
  launch(command: string): Promise<void>;
  /** The process that is this host. */
  readonly process: ChildProcess;
  log(): string;
  /** Ends it. */
  kill(): Promise<void>;
}

export interface KernelHost extends LoneKernelHost, Pick<Site, "name" | "outsideAddress" | "insideAddress" | "network"> {}

/** What a machine lacks for it: files of the packages user-mode-linux and kmod. */
export function missingForKernelHost(exists: (path: string) => boolean): string[] {
  return [program, "/usr/sbin/modprobe"].filter((path) => !exists(path));
}

/** Puts such a host in the right site's place: the middle's cable leads into it, and its addresses are the site's. Takes about 4 s. */
export async function startKernelHost(net: ThreeNamespaces, directory: string): Promise<KernelHost> {
  await takePlace(net);
  const lone = new RunningHost(directory, 256, [`vec0:transport=tap,ifname=${device}`], (argv) =>
    net.middle.start(argv, { stdio: ["pipe", "pipe", "ignore"] }),
  );
  await lone.ready();
  const { outsideAddress, insideAddress, network } = net.right;
  const host: KernelHost = Object.assign(lone, { name: "kernel host", outsideAddress, insideAddress, network });
  const commands = [
    "ip link set lo up",
    "ip link set vec0 address 02:00:00:00:02:01",
    `ip address add ${outsideAddress}/24 dev vec0`,
    "ip link set vec0 up",
    "ip neigh replace 198.51.100.254 lladdr 02:00:00:00:02:fe dev vec0 nud permanent",
    "ip route add default via 198.51.100.254",
    `ip address add ${insideAddress}/24 dev lo`,
  ];
  await host.run(["bash", "-ec", commands.join("\n")]);
  return host;
}

const extraModules = "EXTRA_MODULES=ccm,chacha_generic,poly1305_generic,chacha20poly1305,veth,dummy,tun";

/** Where a host in user-mode Linux may write. */
export const temporaryDirectory = "/mnt";

/**
 * Such a host without a cable: what runs in it makes namespaces of its own. Takes about 4 s.
 * @param directory an existing directory of its own.
 */
export async function startLoneKernelHost(directory: string, memoryMegabytes = 1_024): Promise<LoneKernelHost> {
  const host = new RunningHost(directory, memoryMegabytes, [extraModules], ([program = "", ...args]) =>
    spawn(program, args, { stdio: ["pipe", "pipe", "ignore"] }),
  );
  await host.ready();
  return host;
}

/** The cable to the right site becomes a TAP of the same name and addresses. */
async function takePlace({ middle }: ThreeNamespaces): Promise<void> {
  const commands = [
    `link delete ${device}`,
    `tuntap add ${device} mode tap`,
    `link set ${device} address 02:00:00:00:02:fe up`,
    `address add 198.51.100.254/24 dev ${device}`,
    `neigh replace 198.51.100.1 lladdr 02:00:00:00:02:01 dev ${device} nud permanent`,
  ];
  await middle.run(["ip", "-batch", "-"], { input: `${commands.join("\n")}\n` });
}

class RunningHost implements LoneKernelHost {
  readonly process: ChildProcess;
  readonly #waiting = new Map<number, (result: CommandResult) => void>();
  readonly #lines: string[] = [];
  readonly #ended: Promise<void>;
  #last = 0;
  #isUp = false;

  constructor(directory: string, memoryMegabytes: number, devices: readonly string[], start: (argv: readonly string[]) => ChildProcess) {
    mkdirSync(join(directory, "uml"), { recursive: true });
    const kernel = [`mem=${memoryMegabytes}M`, "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", `init=${init}`, "quiet"];
    const consoles = ["con=null", "con0=fd:0,fd:1", `uml_dir=${join(directory, "uml")}/`];
    this.process = start([program, ...kernel, ...consoles, ...devices]);
    const forget = removeAtExit(`user-mode Linux in ${directory}`, () => this.#end());
    this.process.once("close", forget);
    this.#ended = new Promise((resolve) => this.process.once("exit", () => resolve()));
    if (this.process.stdout !== null) createInterface(this.process.stdout).on("line", (line) => this.#read(line));
  }

  async ready(): Promise<void> {
    await pollUntil(
      "user-mode Linux to be up",
      40_000,
      async () => {
        if (this.process.exitCode !== null) throw new Error(`user-mode Linux ended with ${this.process.exitCode}\n${this.log()}`);
        return this.#isUp ? true : undefined;
      },
      () => this.log(),
    );
  }

  async try(argv: readonly string[], options: { timeoutMilliseconds?: number } = {}): Promise<CommandResult> {
    const number = ++this.#last;
    const command = Buffer.from(argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ")).toString("base64");
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<CommandResult>((resolve, reject) => {
      const timeout = options.timeoutMilliseconds ?? 20_000;
      timer = setTimeout(() => reject(new Error(`in user-mode Linux, ${argv.join(" ")}: not done after ${timeout} ms\n${this.log()}`)), timeout);
      this.#waiting.set(number, resolve);
    });
    this.process.stdin?.write(`${number} ${command}\n`);
    return answer.finally(() => clearTimeout(timer));
  }

  async run(argv: readonly string[], options: { timeoutMilliseconds?: number } = {}): Promise<string> {
    const { code, stdout } = await this.try(argv, options);
    if (code !== 0) throw new Error(`in user-mode Linux, ${argv.join(" ")}: exit code ${code}\n${stdout}`);
    return stdout;
  }

  async launch(command: string): Promise<void> {
    await this.run(["bash", "-c", `${command} >/dev/console 2>&1 </dev/null &`]);
  }

  async kill(): Promise<void> {
    this.#end();
    await this.#ended;
  }

  /** It runs its own processes as some of this machine's, in a group that it leads: without their host they would stay, and hold its console open. */
  #end(): void {
    const { pid } = this.process;
    if (pid === undefined) return;
    for (const id of [-pid, pid]) {
      try {
        process.kill(id, "SIGKILL");
      } catch (error) {
        // It has ended, or has not made its group yet.
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
      }
    }
  }

  log(): string {
    return this.#lines.join("\n");
  }

  #read(text: string): void {
    const line = text.trimEnd();
    const [, number, code = "1", output = ""] = /^@@ (\d+) (\d+) ?(\S*)$/.exec(line) ?? [];
    if (number === undefined) this.#lines.push(line);
    else if (number === "0") this.#isUp = true;
    else this.#waiting.get(Number(number))?.({ code: Number(code), stdout: Buffer.from(output, "base64").toString("utf8"), stderr: "" });
  }
}
