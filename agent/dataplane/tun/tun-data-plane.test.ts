import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dataPlaneContract } from "../data-plane.contract.ts";

const asRoot = process.getuid?.() === 0 || process.env["CI"] === "true" ? test : test.skip;
const namespace = `cvdt-${process.pid}-c`;
const runner = fileURLToPath(new URL("../../testing/tun-contract-runner.ts", import.meta.url));
const asker = fileURLToPath(new URL("../../testing/tun-capabilities.ts", import.meta.url));
const names = [
  ...dataPlaneContract.flatMap(({ name }) => [1, 2].map((workers) => `${name} (workers of a direction: ${workers})`)),
  "takes the device away when it closes",
  "says in a sentence that the port or the device is taken, and leaves nothing behind",
  "ends the other worker and holds nothing when one cannot start",
  "puts another worker in a dead one's place, and gives up when they go on dying",
  "puts another worker in the place of one that runs or waits for ever, and ends both",
  "passes on as many IKE messages as the main thread can deal with, none that is shorter than a header, and counts the others",
  "has a worker in a dead one's place discard before it is told of new SAs, and not afterwards",
  "makes its device again when it is deleted, and loses no SA with it",
  "holds 10,000 SAs of each direction and as many policies, and takes as many again when they are gone",
];
let results: Record<string, string | null> = {};

describe("TunDataPlane", () => {
  beforeAll(() => {
    if (process.getuid?.() !== 0) return;
    execFileSync("ip", ["netns", "add", namespace]);
    execFileSync("ip", ["-n", namespace, "link", "set", "lo", "up"]);
    results = JSON.parse(execFileSync("ip", ["netns", "exec", namespace, process.execPath, runner], { encoding: "utf8", timeout: 55_000 }));
  });

  afterAll(() => {
    if (process.getuid?.() === 0) execFileSync("ip", ["netns", "del", namespace]);
  });

  asRoot("has plain ESP and AH where it may make raw sockets, and without CAP_NET_RAW runs with ESP in UDP and says why", () => {
    const capabilities = (...as: string[]) =>
      JSON.parse(execFileSync("ip", ["netns", "exec", namespace, ...as, process.execPath, asker], { encoding: "utf8" }));
    expect(capabilities()).toMatchObject({ encapsulations: ["udp", "none"], protocols: ["esp", "ah"], modes: ["tunnel"] });
    const restricted = capabilities("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw");
    expect(restricted).toMatchObject({ encapsulations: ["udp"], protocols: ["esp"], modes: ["tunnel"] });
    expect(restricted.reason).toBe("userspace ESP through a TUN device, only in UDP and without AH: raw sockets need CAP_NET_RAW");
  });

  asRoot.each(names)("%s", (name) => {
    expect(results[name]).toBeNull();
  });
});
