import type { ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeAtExit } from "./cleanup.ts";
import type { Site } from "./namespaces.ts";
import type { KeyPair } from "./pki.ts";
import { pollUntil } from "./poll.ts";
import { tryCommand } from "./run-command.ts";
import { formatSection, parseRaw, type RawSection, type Section } from "./swanctl-format.ts";

/** What one charon is told: `connections` and `secrets` of swanctl.conf, certificates, and settings of the daemon itself. */
export interface CharonConfig {
  readonly connections: Section;
  readonly secrets?: Section;
  readonly certificates?: readonly KeyPair[];
  readonly authorities?: readonly string[];
  /** Settings inside `charon { }` of strongswan.conf. */
  readonly daemon?: Section;
  /** The root directory of a system with another strongSwan, whose charon is run; null: this system's own. */
  readonly root?: string | null;
  /** Who carries its ESP; absent: userspace. */
  readonly esp?: "userspace" | "kernel";
}

/** A Child SA as charon sees it. SPIs are 8 hexadecimal digits. */
export interface CharonChildSa {
  readonly name: string;
  readonly uniqueId: string;
  readonly state: string;
  readonly spiIn: string;
  readonly spiOut: string;
  readonly suite: string;
  readonly localSelectors: readonly string[];
  readonly remoteSelectors: readonly string[];
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** An IKE SA as charon sees it. SPIs are 16 hexadecimal digits. */
export interface CharonIkeSa {
  readonly name: string;
  readonly uniqueId: string;
  readonly state: string;
  readonly role: "initiator" | "responder";
  readonly spiI: string;
  readonly spiR: string;
  readonly remoteIdentity: string;
  readonly suite: string;
  readonly children: readonly CharonChildSa[];
}

export interface Charon {
  listSas(): Promise<CharonIkeSa[]>;
  /** Brings a child (and its connection) up. Returns charon's account of it; throws when it fails. */
  initiate(child: string): Promise<string>;
  /** The same, and returns charon's account whether it succeeds or not. */
  tryInitiate(child: string): Promise<{ ok: boolean; output: string }>;
  rekey(what: { ike: string } | { child: string }): Promise<void>;
  terminate(what: { ike: string } | { child: string }): Promise<void>;
  /** Replaces the connections and secrets; SAs that exist stay. */
  load(config: CharonConfig): Promise<void>;
  /** Reads what was loaded last again. */
  reload(): Promise<void>;
  log(): string;
  /** Ends it as a crash would: the peer is told nothing. */
  kill(): Promise<void>;
  /** Ends it in an orderly way. */
  stop(): Promise<void>;
}

const corePlugins =
  "openssl random nonce drbg aes aesni sha1 sha2 md5 hmac kdf curve25519 chapoly gcm ccm ctr cmac xcbc mgf1 x509 revocation " +
  "constraints pubkey pkcs1 pkcs7 pkcs8 pem";

/** What every charon of the tests is set to. `kernel`: the plugins that carry ESP. */
export function daemonSettings(kernel: string, filelog: Section, extra: Section): string {
  return formatSection({
    charon: {
      load: `${corePlugins} ${kernel} socket-default vici updown counters`,
      // Its default of 16 is what its scheduler needs: with fewer it stalls while a job waits for a lock.
      threads: 16,
      install_routes: true,
      // Retries soon, so that a lost peer shows within seconds.
      retransmit_timeout: 0.5,
      retransmit_tries: 4,
      filelog,
      ...extra,
    },
  });
}

/** How to reach a charon: its control socket, the words before `swanctl` that lead there, and its log. */
export interface CharonAccess {
  readonly uri: string;
  readonly inside: (argv: readonly string[]) => string[];
  readonly log: () => string;
}

/** A charon that has been started, once it answers and has read its configuration. @param daemon what ends with it. */
export async function attachCharon(daemon: ChildProcess, directory: string, access: CharonAccess, forget: () => void, config: CharonConfig): Promise<Charon> {
  const charon = new RunningCharon(daemon, directory, access, forget);
  await charon.ready();
  await charon.load(config);
  return charon;
}

/**
 * Starts strongSwan's daemon in a site with userspace ESP (kernel-libipsec) or the kernel's, loads the configuration, and waits until it answers.
 * @param directory an existing directory of its own; a short path, for the control socket lies in it.
 */
export async function startCharon(site: Site, directory: string, config: CharonConfig): Promise<Charon> {
  const run = join(directory, "run");
  mkdirSync(run, { recursive: true });
  const logFile = join(directory, "charon.log");
  writeFileSync(logFile, "");
  const log = { path: logFile, default: 1, ike: 2, flush_line: true, time_format: "%H:%M:%S", time_add_ms: true };
  const userspace = { ...config.daemon, plugins: { "kernel-libipsec": { allow_peer_ts: false } } };
  const settings =
    config.esp === "kernel"
      ? daemonSettings("kernel-netlink", { log }, config.daemon ?? {})
      : daemonSettings("kernel-libipsec kernel-netlink", { log }, userspace);
  writeFileSync(join(directory, "strongswan.conf"), settings);
  const start = config.root == null ? `mount --bind '${run}' /run && exec /usr/lib/ipsec/charon` : startInRoot(config.root, directory);
  const argv = ["unshare", "-m", "bash", "-c", `mount --make-rprivate / && ${start}`];
  const daemon = site.start(argv, { stdio: "ignore", env: { STRONGSWAN_CONF: join(directory, "strongswan.conf") } });
  const forget = removeAtExit(`charon in ${site.name}`, () => daemon.kill("SIGKILL"));
  const uri = `unix://${join(directory, "run", "charon.vici")}`;
  return attachCharon(daemon, directory, { uri, inside: (argv) => [...argv], log: () => readFileSync(logFile, "utf8") }, forget, config);
}

/** The mounts are this daemon's own and end with it; only the empty mount points stay in `root`. */
function startInRoot(root: string, directory: string): string {
  const steps = [
    `mkdir -p '${root}${directory}'`,
    `mount --bind '${directory}' '${root}${directory}'`,
    `mount --bind '${join(directory, "run")}' '${root}/run'`,
    `mount --bind /dev '${root}/dev'`,
    `mount -t proc proc '${root}/proc'`,
    `exec chroot '${root}' /usr/lib/ipsec/charon`,
  ];
  return steps.join(" && ");
}

class RunningCharon implements Charon {
  private readonly daemon: ChildProcess;
  private readonly directory: string;
  private readonly access: CharonAccess;
  private readonly forget: () => void;
  private readonly ended: Promise<void>;

  constructor(daemon: ChildProcess, directory: string, access: CharonAccess, forget: () => void) {
    this.daemon = daemon;
    this.directory = directory;
    this.access = access;
    this.forget = forget;
    this.ended = new Promise((resolve) => daemon.once("exit", () => resolve()));
  }

  async ready(): Promise<void> {
    await pollUntil(
      "charon to answer",
      40_000,
      async () => {
        if (this.daemon.exitCode !== null) throw new Error(`charon ended with ${this.daemon.exitCode}\n${this.log()}`);
        // One that is asked while it starts may never answer: it is asked again.
        const answer = await this.swanctl(["--version", "--daemon"], 2_000).catch(() => null);
        return answer?.code === 0 ? true : undefined;
      },
      () => this.log(),
    );
  }

  async load(config: CharonConfig): Promise<void> {
    writeConfiguration(this.directory, config);
    await this.reload();
  }

  async reload(): Promise<void> {
    const result = await this.swanctl(["--load-all", "--noprompt"], 10_000);
    if (result.code !== 0) throw new Error(`swanctl --load-all: ${result.stdout}${result.stderr}`);
  }

  async listSas(): Promise<CharonIkeSa[]> {
    const { stdout, stderr, code } = await this.swanctl(["--list-sas", "--raw"], 5_000);
    if (code !== 0) throw new Error(`swanctl --list-sas: ${stderr}`);
    return stdout
      .split("\n")
      .filter((line) => line.startsWith("list-sa event"))
      .flatMap(readIkeSas);
  }

  async initiate(child: string): Promise<string> {
    const { ok, output } = await this.tryInitiate(child);
    if (!ok) throw new Error(`charon could not bring ${child} up:\n${output}`);
    return output;
  }

  async tryInitiate(child: string): Promise<{ ok: boolean; output: string }> {
    const { code, stdout, stderr } = await this.swanctl(["--initiate", "--child", child, "--timeout", "10", "--loglevel", "1"], 15_000);
    return { ok: code === 0, output: stdout + stderr };
  }

  async rekey(what: { ike: string } | { child: string }): Promise<void> {
    await this.mustSucceed(["--rekey", ...selection(what)]);
  }

  async terminate(what: { ike: string } | { child: string }): Promise<void> {
    await this.mustSucceed(["--terminate", ...selection(what), "--timeout", "10"]);
  }

  log(): string {
    return this.access.log();
  }

  async kill(): Promise<void> {
    this.daemon.kill("SIGKILL");
    await this.ended;
    this.forget();
  }

  async stop(): Promise<void> {
    this.daemon.kill("SIGTERM");
    const timer = setTimeout(() => this.daemon.kill("SIGKILL"), 5_000);
    await this.ended;
    clearTimeout(timer);
    this.forget();
  }

  private async mustSucceed(args: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await this.swanctl(args, 15_000);
    if (code !== 0) throw new Error(`swanctl ${args.join(" ")}: ${stdout}${stderr}`);
  }

  private swanctl(args: readonly string[], timeoutMilliseconds: number) {
    const [command = "", ...rest] = args;
    return tryCommand(this.access.inside(["swanctl", command, "--uri", this.access.uri, ...rest]), {
      timeoutMilliseconds,
      env: { SWANCTL_DIR: this.directory, STRONGSWAN_CONF: join(this.directory, "strongswan.conf") },
    });
  }
}

function selection(what: { ike: string } | { child: string }): string[] {
  return "ike" in what ? ["--ike", what.ike] : ["--child", what.child];
}

function writeConfiguration(directory: string, config: CharonConfig): void {
  for (const folder of ["x509", "x509ca", "private"]) mkdirSync(join(directory, folder), { recursive: true });
  const text = formatSection({ connections: config.connections, secrets: config.secrets ?? {} });
  writeFileSync(join(directory, "swanctl.conf"), text);
  for (const [index, pair] of (config.certificates ?? []).entries()) {
    writeFileSync(join(directory, "x509", `own${index}.pem`), pair.certificatePem);
    writeFileSync(join(directory, "private", `own${index}.pem`), pair.privateKeyPem);
    chmodSync(join(directory, "private", `own${index}.pem`), 0o600);
  }
  for (const [index, pem] of (config.authorities ?? []).entries()) writeFileSync(join(directory, "x509ca", `ca${index}.pem`), pem);
}

function readIkeSas(line: string): CharonIkeSa[] {
  return sections(parseRaw(line)).map(([name, sa]) => ({
    name,
    uniqueId: text(sa, "uniqueid"),
    state: text(sa, "state"),
    role: text(sa, "initiator") === "yes" ? "initiator" : "responder",
    spiI: text(sa, "initiator-spi"),
    spiR: text(sa, "responder-spi"),
    remoteIdentity: text(sa, "remote-id"),
    suite: ["encr-alg", "encr-keysize", "integ-alg", "prf-alg", "dh-group"]
      .map((key) => text(sa, key))
      .filter(Boolean)
      .join("/"),
    children: sections(sa["child-sas"]).map(readChildSa),
  }));
}

function readChildSa([, sa]: [string, RawSection]): CharonChildSa {
  return {
    name: text(sa, "name"),
    uniqueId: text(sa, "uniqueid"),
    state: text(sa, "state"),
    spiIn: text(sa, "spi-in"),
    spiOut: text(sa, "spi-out"),
    suite: ["encr-alg", "encr-keysize", "integ-alg", "dh-group"]
      .map((key) => text(sa, key))
      .filter(Boolean)
      .join("/"),
    localSelectors: list(sa["local-ts"]),
    remoteSelectors: list(sa["remote-ts"]),
    bytesIn: Number(text(sa, "bytes-in")),
    bytesOut: Number(text(sa, "bytes-out")),
  };
}

function sections(value: RawSection[string] | undefined): [string, RawSection][] {
  if (value === undefined || typeof value === "string" || Array.isArray(value)) return [];
  return Object.entries(value).filter((entry): entry is [string, RawSection] => typeof entry[1] === "object" && !Array.isArray(entry[1]));
}

function text(section: RawSection, name: string): string {
  const value = section[name];
  return typeof value === "string" ? value : "";
}

function list(value: RawSection[string] | undefined): readonly string[] {
  return Array.isArray(value) ? value : [];
}
