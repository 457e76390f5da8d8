import type { ChildProcess } from "node:child_process";
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

export interface KernelHost extends Pick<Site, "name" | "outsideAddress" | "insideAddress" | "network" | "try"> {
  run(argv: readonly string[]): Promise<string>;
  /** Starts a program that stays; what it writes is in the log. */
  launch(command: string): Promise<void>;
  /** The process that is this host. */
  readonly process: ChildProcess;
  log(): string;
}

/** What a machine lacks for it: files of the packages user-mode-linux and kmod. */
export function missingForKernelHost(exists: (path: string) => boolean): string[] {
  return [program, "/usr/sbin/modprobe"].filter((path) => !exists(path));
}

/** Puts such a host in the right site's place: the middle's cable leads into it, and its addresses are the site's. Takes about 4 s. */
export async function startKernelHost(net: ThreeNamespaces, directory: string): Promise<KernelHost> {
  mkdirSync(join(directory, "uml"), { recursive: true });
  await takePlace(net);
  const host = new RunningHost(net, directory);
  await host.ready();
  const { outsideAddress, insideAddress } = net.right;
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

class RunningHost implements KernelHost {
  readonly name = "kernel host";
  readonly outsideAddress: string;
  readonly insideAddress: string;
  readonly network: string;
  readonly process: ChildProcess;
  readonly #waiting = new Map<number, (result: CommandResult) => void>();
  readonly #lines: string[] = [];
  #last = 0;
  #isUp = false;

  constructor(net: ThreeNamespaces, directory: string) {
    ({ outsideAddress: this.outsideAddress, insideAddress: this.insideAddress, network: this.network } = net.right);
    const kernel = ["mem=256M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", `init=${init}`, "quiet"];
    const consoles = ["con=null", "con0=fd:0,fd:1", `vec0:transport=tap,ifname=${device}`, `uml_dir=${join(directory, "uml")}/`];
    this.process = net.middle.start([program, ...kernel, ...consoles], { stdio: ["pipe", "pipe", "ignore"] });
    const forget = removeAtExit(`user-mode Linux in ${net.middle.name}`, () => this.process.kill("SIGKILL"));
    this.process.once("close", forget);
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

  async run(argv: readonly string[]): Promise<string> {
    const { code, stdout } = await this.try(argv);
    if (code !== 0) throw new Error(`in user-mode Linux, ${argv.join(" ")}: exit code ${code}\n${stdout}`);
    return stdout;
  }

  async launch(command: string): Promise<void> {
    await this.run(["bash", "-c", `${command} >/dev/console 2>&1 </dev/null &`]);
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
