import { expect, test } from "vitest";
import { type LinkRoutes, Routes } from "./routes.ts";

/** A routing table that understands the few forms of `ip route` that are used. */
function fakeTable(foreign: readonly string[] = []) {
  const table = new Map<string, string>(foreign.map((line) => [line.split(" ")[0]!, line]));
  const log: string[] = [];
  const runs: string[] = [];
  const ip = async (args: readonly string[], input?: string): Promise<string> => {
    runs.push(args.join(" "));
    if (input === undefined) return one(args);
    const failed: number[] = [];
    let output = "";
    for (const [index, line] of input.trim().split("\n").entries()) {
      output += `${await one(["-4", ...line.split(" ")]).catch(() => failed.push(index + 1))}\n`;
    }
    if (failed.length > 0) throw new Error(failed.map((line) => `RTNETLINK answers: File exists\nCommand failed -:${line}`).join("\n"));
    return output;
  };
  const one = async (args: readonly string[]): Promise<string> => {
    const words = args.filter((word) => !word.startsWith("-"));
    const [, verb = "", destination = ""] = words;
    if (verb !== "show" && verb !== "get") log.push(words.slice(1).join(" "));
    if (verb === "get") return `${destination} via 192.0.2.254 dev eth0 src 192.0.2.1`;
    if (verb === "show" && words[2] === "proto") return [...table.values()].filter((line) => line.endsWith(` proto ${words[3]}`)).join("\n");
    if (verb === "show") return table.get(words[3]!) ?? "";
    if (verb === "add" && table.has(destination)) throw new Error("File exists");
    if (verb === "add" || verb === "replace") table.set(destination, words.slice(2).join(" "));
    if (verb === "del") table.delete(destination);
    return "";
  };
  return { table, log, runs, ip };
}

const link = (linkId: string, remote: string, peers: readonly string[] = []): LinkRoutes => ({
  linkId,
  localNetworks: [],
  remoteNetworks: [remote],
  peers,
  mtu: 1_400,
});

test("a link's routes come and go with it, and those of other links are not touched", async () => {
  const { table, log, ip } = fakeTable();
  const routes = new Routes("tun7", ip);
  expect(await routes.apply([link("a", "10.2.0.0/24"), link("b", "10.3.0.0/24")])).toEqual(new Map());
  expect(table.get("10.2.0.0/24")).toBe("10.2.0.0/24 dev tun7 mtu 1400 proto 213");
  log.length = 0;
  await routes.apply([link("b", "10.3.0.0/24")]);
  expect(log).toEqual(["del 10.2.0.0/24 dev tun7 proto 213"]);
  await routes.removeAll();
  expect([...table.keys()]).toEqual([]);
});

test("a route whose options change is replaced in one step, and not while another's is in its place", async () => {
  const { table, log, ip } = fakeTable();
  const routes = new Routes("tun7", ip);
  await routes.apply([link("a", "10.2.0.0/24"), link("b", "10.3.0.0/24")]);
  log.length = 0;
  expect(await routes.apply([{ ...link("a", "10.2.0.0/24"), mtu: 1_380 }, link("b", "10.3.0.0/24")])).toEqual(new Map());
  expect(log).toEqual(["replace 10.2.0.0/24 dev tun7 mtu 1380 proto 213"]);
  table.set("10.3.0.0/24", "10.3.0.0/24 via 10.0.0.1 dev eth1 proto static");
  const faults = await routes.apply([
    { ...link("a", "10.2.0.0/24"), mtu: 1_380 },
    { ...link("b", "10.3.0.0/24"), mtu: 1_380 },
  ]);
  expect([...faults]).toEqual([["b", expect.stringContaining("another route to 10.3.0.0/24 exists")]]);
  expect(table.get("10.3.0.0/24")).toContain("eth1");
  await routes.removeAll();
  expect([...table.keys()]).toEqual(["10.3.0.0/24"]);
});

test("thousands of routes are set and removed by one process each time", async () => {
  const { table, runs, ip } = fakeTable(["10.0.7.0/24 via 10.0.0.1 dev eth1 proto static"]);
  const routes = new Routes("tun7", ip);
  const links = Array.from({ length: 2_000 }, (_, i) => link(`l${i}`, `10.${i >> 8}.${i & 255}.0/24`));
  const faults = await routes.apply(links);
  expect([...faults.keys()]).toEqual(["l7"]);
  expect(table.size).toBe(2_000);
  expect(runs.filter((run) => run.includes("-batch"))).toHaveLength(1);
  // Beside the batch only what is said about the one that was refused.
  expect(runs).toHaveLength(3);
  await routes.removeAll();
  expect(runs).toHaveLength(4);
  expect([...table.keys()]).toEqual(["10.0.7.0/24"]);
});

test("somebody else's route is neither replaced nor removed, and the link says so; our own leftover is taken over", async () => {
  const { table, ip } = fakeTable(["10.2.0.0/24 via 10.0.0.1 dev eth1 proto static", "10.3.0.0/24 dev tun7 proto 213"]);
  const routes = new Routes("tun7", ip);
  const faults = await routes.apply([link("a", "10.2.0.0/24"), link("b", "10.3.0.0/24")]);
  expect([...faults]).toEqual([["a", expect.stringContaining("another route to 10.2.0.0/24 exists")]]);
  await routes.removeAll();
  expect([...table.keys()]).toEqual(["10.2.0.0/24"]);
});

test("everything through the tunnel leaves the default route alone and the peer outside", async () => {
  const { table, ip } = fakeTable(["default via 192.0.2.254 dev eth0"]);
  const routes = new Routes("tun7", ip);
  await routes.apply([link("a", "0.0.0.0/0", ["198.51.100.1"])]);
  expect([...table.keys()].toSorted()).toEqual(["0.0.0.0/1", "128.0.0.0/1", "198.51.100.1/32", "default"]);
  expect(table.get("198.51.100.1/32")).toBe("198.51.100.1/32 via 192.0.2.254 dev eth0 proto 213");
  await routes.apply([link("a", "0.0.0.0/0", ["198.51.100.1"])]);
  await routes.removeAll();
  expect([...table.keys()]).toEqual(["default"]);
});

test("where policies decide, a link's routes lead along the way to its peer, and without a known peer there are none", async () => {
  const { table, log, ip } = fakeTable();
  const routes = new Routes(null, ip);
  await routes.removeLeftovers();
  expect(log).toEqual(["flush proto 214", "flush proto 214"]);
  expect(await routes.apply([link("a", "10.2.0.0/24", ["198.51.100.1"]), link("b", "10.3.0.0/24")])).toEqual(new Map());
  expect([...table.values()]).toEqual(["10.2.0.0/24 via 192.0.2.254 dev eth0 proto 214"]);
  await routes.removeAll();
  expect([...table.keys()]).toEqual([]);
});

test("a link with an interface has its routes there, keeps every link's peer outside of it, and leaves other links along the way to theirs", async () => {
  const { table, ip } = fakeTable(["10.9.0.0/24 via 10.0.0.1 dev eth1 proto static"]);
  const routes = new Routes(null, ip);
  const links = [
    { ...link("everything", "0.0.0.0/0", ["198.51.100.1"]), device: "culvertx1" },
    { ...link("everything 6", "2001:db8::/32", ["198.51.100.2"]), device: "culvertx2" },
    link("site", "10.2.0.0/24", ["198.51.100.3"]),
    { ...link("taken", "10.9.0.0/24", ["198.51.100.1"]), device: "culvertx3" },
  ];
  const faults = await routes.apply(links);
  expect(Object.fromEntries([...table].map(([to, route]) => [to, route.replace(`${to} `, "")]))).toEqual({
    "10.9.0.0/24": "via 10.0.0.1 dev eth1 proto static",
    "0.0.0.0/1": "dev culvertx1 mtu 1400 proto 214",
    "128.0.0.0/1": "dev culvertx1 mtu 1400 proto 214",
    ...Object.fromEntries([1, 2, 3].map((host) => [`198.51.100.${host}/32`, "via 192.0.2.254 dev eth0 proto 214"])),
    "2001:db8::/32": "dev culvertx2 mtu 1400 proto 214",
    "10.2.0.0/24": "via 192.0.2.254 dev eth0 proto 214",
  });
  expect([...faults]).toEqual([["taken", expect.stringContaining("another route to 10.9.0.0/24 exists")]]);
  await routes.removeAll();
  expect([...table.keys()]).toEqual(["10.9.0.0/24"]);
});

test("where policies decide, another's route to the same network does as well, and stays", async () => {
  const { table, ip } = fakeTable(["10.2.0.0/24 via 192.0.2.9 proto static"]);
  const routes = new Routes(null, ip);
  expect(await routes.apply([link("a", "10.2.0.0/24", ["198.51.100.1"])])).toEqual(new Map());
  await routes.removeAll();
  expect(table.get("10.2.0.0/24")).toBe("10.2.0.0/24 via 192.0.2.9 proto static");
});
