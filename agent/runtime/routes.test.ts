import { expect, test } from "vitest";
import { IpFailure } from "./peer-ways.ts";
import { contains, hostPrefix, parsePrefix } from "./prefix.ts";
import { type LinkRoutes, Routes } from "./routes.ts";

const provider = "default via 192.0.2.254 dev eth0";

/** A main table that understands the few forms of `ip route` that are used, and says of an address what its longest match says. */
function fakeTable(foreign: readonly string[] = [provider]) {
  const table = new Map<string, string>(foreign.map((line) => [line.split(" ")[0]!, line]));
  /** What rules have looked up in another table before the main one. */
  const byRule = new Map<string, string>();
  const log: string[] = [];
  const runs: string[] = [];
  const ip = async (args: readonly string[], input?: string): Promise<string> => {
    runs.push(args.join(" "));
    if (input === undefined) return one(args);
    const errors: string[] = [];
    let output = "";
    for (const [index, line] of input.trim().split("\n").entries()) {
      const fail = (error: Error) => errors.push(`RTNETLINK answers: ${error.message}\nCommand failed -:${index + 1}`);
      output += `${await one(line.split(" ")).catch((error: Error) => fail(error) && "")}\n`;
    }
    if (errors.length > 0) throw new IpFailure(errors.join("\n"), output);
    return output;
  };
  const one = async (args: readonly string[]): Promise<string> => {
    const words = args.filter((word) => !word.startsWith("-"));
    const [, verb = "", destination = ""] = words;
    if (verb !== "show" && verb !== "get") log.push(words.slice(1).join(" "));
    if (verb === "get") return answer(destination);
    if (verb === "show" && words[2] === "table") return JSON.stringify(words[3] === "254" ? [...table.values()].map(shown) : []);
    if (verb === "show" && words[2] === "proto") return [...table.values()].filter((line) => line.endsWith(` proto ${words[3]}`)).join("\n");
    if (verb === "show") return table.get(words[3]!) ?? "";
    if (verb === "add" && table.has(destination)) throw new Error("File exists");
    if (verb === "add" || verb === "replace") table.set(destination, words.slice(2).join(" "));
    if (verb === "del") table.delete(destination);
    return "";
  };
  const answer = (address: string): string => {
    const ruled = byRule.get(address);
    if (ruled !== undefined) return `${address} ${ruled} uid 0`;
    const lengthOf = (destination: string) => {
      const prefix = parsePrefix(destination === "default" ? (address.includes(":") ? "::/0" : "0.0.0.0/0") : destination);
      return prefix !== null && contains(prefix, hostPrefix(address)!) ? prefix.length : -1;
    };
    const longest = [...table.keys()].toSorted((a, b) => lengthOf(b) - lengthOf(a))[0];
    if (longest === undefined || lengthOf(longest) < 0) throw new Error("Network is unreachable");
    const { gateway, dev } = shown(table.get(longest)!);
    return `${address}${address.includes(":") ? " from ::" : ""}${gateway === undefined ? "" : ` via ${gateway}`} dev ${dev} src 192.0.2.1 uid 0`;
  };
  /** What the kernel does when a device goes down: nobody is told of the routes that are lost. */
  const down = (device: string): void => {
    for (const [destination, line] of table) if (shown(line).dev === device) table.delete(destination);
  };
  const set = (line: string): void => void table.set(line.split(" ")[0]!, line);
  return { table, byRule, log, runs, ip, down, set };
}

/** As `ip -j -N` does. */
function shown(line: string): { readonly dst: string; readonly gateway?: string; readonly dev?: string; readonly protocol?: string; readonly flags: string[] } {
  const value = (name: string) => new RegExp(` ${name} (\\S+)`).exec(line)?.[1];
  const [gateway, dev, protocol] = ["via", "dev", "proto"].map(value);
  return { dst: line.split(" ")[0]!, ...(gateway && { gateway }), ...(dev && { dev }), ...(protocol && { protocol }), flags: [] };
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
  expect([...table.keys()]).toEqual(["default"]);
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
  expect([...table.keys()]).toEqual(["default", "10.3.0.0/24"]);
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
  const { table, ip } = fakeTable();
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
  expect([...table.values()]).toEqual([provider, "10.2.0.0/24 via 192.0.2.254 dev eth0 proto 214"]);
  await routes.removeAll();
  expect([...table.keys()]).toEqual(["default"]);
});

test("a link with an interface has its routes there, keeps every link's peer outside of it, and leaves other links along the way to theirs", async () => {
  const { table, ip } = fakeTable([provider, "10.9.0.0/24 via 10.0.0.1 dev eth1 proto static"]);
  const routes = new Routes(null, ip);
  const links = [
    { ...link("everything", "0.0.0.0/0", ["198.51.100.1"]), device: "culvertx1" },
    { ...link("everything 6", "2001:db8::/32", ["198.51.100.2"]), device: "culvertx2" },
    link("site", "10.2.0.0/24", ["198.51.100.3"]),
    { ...link("taken", "10.9.0.0/24", ["198.51.100.1"]), device: "culvertx3" },
  ];
  const faults = await routes.apply(links);
  expect(Object.fromEntries([...table].map(([to, route]) => [to, route.replace(`${to} `, "")]))).toEqual({
    default: "via 192.0.2.254 dev eth0",
    "10.9.0.0/24": "via 10.0.0.1 dev eth1 proto static",
    "0.0.0.0/1": "dev culvertx1 mtu 1400 proto 214",
    "128.0.0.0/1": "dev culvertx1 mtu 1400 proto 214",
    ...Object.fromEntries([1, 2, 3].map((host) => [`198.51.100.${host}/32`, "via 192.0.2.254 dev eth0 proto 214"])),
    "2001:db8::/32": "dev culvertx2 mtu 1400 proto 214",
    "10.2.0.0/24": "via 192.0.2.254 dev eth0 proto 214",
  });
  expect([...faults]).toEqual([["taken", expect.stringContaining("another route to 10.9.0.0/24 exists")]]);
  await routes.removeAll();
  expect([...table.keys()]).toEqual(["default", "10.9.0.0/24"]);
});

test("where policies decide, another's route to the same network does as well, and stays", async () => {
  const { table, ip } = fakeTable([provider, "10.2.0.0/24 via 192.0.2.9 proto static"]);
  const routes = new Routes(null, ip);
  expect(await routes.apply([link("a", "10.2.0.0/24", ["198.51.100.1"])])).toEqual(new Map());
  await routes.removeAll();
  expect(table.get("10.2.0.0/24")).toBe("10.2.0.0/24 via 192.0.2.9 proto static");
});

/** What the agent does when it is told that the network has changed. */
async function restore(routes: Routes, links: readonly LinkRoutes[]): Promise<Map<string, string>> {
  await routes.forgetVanished();
  return routes.apply(links);
}

const noWay = (peer: string) => `there is no route to the peer ${peer} beside those into a tunnel; add one to let the link reach it`;

test.each([
  { plane: "behind a TUN device", device: "tun7", own: {}, protocol: 213 },
  { plane: "with an interface", device: null, own: { device: "culvertx1" }, protocol: 214 },
])("everything through a link $plane: its peer is outside again when the default route has come back, and until then the link says so", async (plane) => {
  const { table, ip, down, set } = fakeTable();
  const routes = new Routes(plane.device, ip);
  const everything = { ...link("a", "0.0.0.0/0", ["198.51.100.1"]), ...plane.own };
  await routes.apply([everything]);
  const before = [...table.values()].toSorted();
  down("eth0");
  expect([...(await restore(routes, [everything]))]).toEqual([["a", noWay("198.51.100.1")]]);
  expect([...table.keys()].toSorted()).toEqual(["0.0.0.0/1", "128.0.0.0/1"]);
  set(provider);
  expect(await restore(routes, [everything])).toEqual(new Map());
  expect([...table.values()].toSorted()).toEqual(before);
  // By another provider: the route that kept the peer outside leads there in one step.
  down("eth0");
  set("default via 203.0.113.9 dev wwan0");
  expect(await restore(routes, [everything])).toEqual(new Map());
  expect(table.get("198.51.100.1/32")).toBe(`198.51.100.1/32 via 203.0.113.9 dev wwan0 proto ${plane.protocol}`);
});

test("a peer that moves, and the peer of a link that is added, are kept outside of the tunnel of everything that is there", async () => {
  const { table, ip } = fakeTable();
  const routes = new Routes("tun7", ip);
  await routes.apply([link("a", "0.0.0.0/0", ["198.51.100.1"])]);
  await routes.apply([link("a", "0.0.0.0/0", ["198.51.100.2"])]);
  expect([...table.keys()].toSorted()).toEqual(["0.0.0.0/1", "128.0.0.0/1", "198.51.100.2/32", "default"]);
  expect(await routes.apply([link("a", "0.0.0.0/0", ["198.51.100.2"]), link("b", "10.2.0.0/24", ["203.0.113.7"])])).toEqual(new Map());
  expect(table.get("198.51.100.2/32")).toBe("198.51.100.2/32 via 192.0.2.254 dev eth0 proto 213");
  expect(table.get("203.0.113.7/32")).toBe("203.0.113.7/32 via 192.0.2.254 dev eth0 proto 213");
});

test("a gateway that changes is followed in one step; without any the peer keeps the route that it has", async () => {
  const { table, log, ip, set } = fakeTable();
  const routes = new Routes("tun7", ip);
  const everything = link("a", "0.0.0.0/0", ["198.51.100.1"]);
  await routes.apply([everything]);
  log.length = 0;
  set("default via 192.0.2.253 dev eth0");
  await restore(routes, [everything]);
  expect(log).toEqual(["replace 198.51.100.1/32 via 192.0.2.253 dev eth0 proto 213"]);
  table.delete("default");
  expect(await restore(routes, [everything])).toEqual(new Map());
  expect(table.get("198.51.100.1/32")).toBe("198.51.100.1/32 via 192.0.2.253 dev eth0 proto 213");
});

test("where policies decide, routes to remote networks follow the peer's gateway, a route of everything along it as well", async () => {
  const { table, ip, set } = fakeTable();
  const routes = new Routes(null, ip);
  const links = [link("a", "10.2.0.0/24", ["198.51.100.1"]), link("b", "0.0.0.0/0", ["198.51.100.2"])];
  await routes.apply(links);
  set("default via 192.0.2.253 dev eth0");
  await restore(routes, links);
  table.delete("default");
  expect(await restore(routes, links)).toEqual(new Map());
  expect([...table.values()].toSorted()).toEqual(
    ["0.0.0.0/1", "10.2.0.0/24", "128.0.0.0/1", "198.51.100.2/32"].map((to) => `${to} via 192.0.2.253 dev eth0 proto 214`),
  );
});

test("a provider without a gateway's address, IPv6, another's own route to the peer and a peer that is this machine", async () => {
  const pppoe = fakeTable(["default dev ppp0"]);
  await new Routes("tun7", pppoe.ip).apply([link("a", "0.0.0.0/0", ["198.51.100.1"])]);
  expect(pppoe.table.get("198.51.100.1/32")).toBe("198.51.100.1/32 dev ppp0 proto 213");

  const ipv6 = fakeTable(["default via fe80::1 dev eth0"]);
  const routes = new Routes("tun7", ipv6.ip);
  const everything = link("a", "::/0", ["2001:db8:1::1"]);
  await routes.apply([everything]);
  ipv6.down("eth0");
  ipv6.set("default via fe80::2 dev eth0");
  expect(await restore(routes, [everything])).toEqual(new Map());
  expect(ipv6.table.get("2001:db8:1::1/128")).toBe("2001:db8:1::1/128 via fe80::2 dev eth0 proto 213");

  const admin = fakeTable([provider, "198.51.100.1/32 via 192.0.2.9 dev eth0 proto static"]);
  expect(await new Routes("tun7", admin.ip).apply([link("a", "0.0.0.0/0", ["198.51.100.1"])])).toEqual(new Map());
  expect(admin.table.get("198.51.100.1/32")).toBe("198.51.100.1/32 via 192.0.2.9 dev eth0 proto static");

  const self = fakeTable();
  self.byRule.set("127.0.0.1", "dev lo table 255");
  expect(await new Routes("tun7", self.ip).apply([link("a", "0.0.0.0/0", ["127.0.0.1"])])).toEqual(new Map());
  expect([...self.table.keys()].toSorted()).toEqual(["0.0.0.0/1", "128.0.0.0/1", "default"]);
});

test("what a rule finds in another table is how the peer is reached, before and after our own route is there", async () => {
  const { table, log, byRule, ip } = fakeTable();
  const routes = new Routes("tun7", ip);
  byRule.set("198.51.100.1", "via 192.0.2.77 dev eth1 table 100");
  const everything = link("a", "0.0.0.0/0", ["198.51.100.1"]);
  await routes.apply([everything]);
  log.length = 0;
  expect(await restore(routes, [everything])).toEqual(new Map());
  expect(log).toEqual([]);
  expect(table.get("198.51.100.1/32")).toBe("198.51.100.1/32 via 192.0.2.77 dev eth1 proto 213");
});

test("two links to one network share its route: when one goes, the other has it", async () => {
  const { table, log, ip } = fakeTable();
  const routes = new Routes("tun7", ip);
  const a = { ...link("a", "10.9.0.0/24"), mtu: 1_400 };
  const b = { ...link("b", "10.9.0.0/24"), mtu: 1_380 };
  expect(await routes.apply([a, b])).toEqual(new Map());
  await routes.apply([a, b]);
  expect(log).toEqual(["add 10.9.0.0/24 dev tun7 mtu 1400 proto 213"]);
  await routes.apply([b]);
  expect(table.get("10.9.0.0/24")).toBe("10.9.0.0/24 dev tun7 mtu 1380 proto 213");
  await routes.apply([a, b]);
  await routes.apply([a]);
  expect(table.get("10.9.0.0/24")).toBe("10.9.0.0/24 dev tun7 mtu 1400 proto 213");
  expect(log.filter((line) => line.startsWith("del"))).toEqual([]);
  await routes.removeAll();
  expect([...table.keys()]).toEqual(["default"]);
});

test("what a killed run has left says nothing of the way to a peer, and is taken over whichever plane that run had", async () => {
  for (const [device, protocol] of [
    ["tun7", 214],
    [null, 213],
  ] as const) {
    const { table, ip } = fakeTable([provider, `198.51.100.9/32 via 192.0.2.250 dev eth0 proto ${protocol}`]);
    const routes = new Routes(device, ip);
    expect(await routes.apply([{ ...link("a", "0.0.0.0/0", ["198.51.100.9"]) }])).toEqual(new Map());
    expect(table.get("198.51.100.9/32")).toBe(`198.51.100.9/32 via 192.0.2.254 dev eth0 proto ${device === null ? 214 : 213}`);
  }
});

test("peers without a way cost no process of their own", async () => {
  const { runs, ip } = fakeTable(["203.0.113.0/24 via 192.0.2.254 dev eth0"]);
  const routes = new Routes(null, ip);
  const unreachable = Array.from({ length: 500 }, (_, i) => link(`l${i}`, `10.${i >> 8}.${i & 255}.0/24`, [`198.51.${i >> 8}.${i & 255}`]));
  await routes.apply([...unreachable, link("good", "10.9.0.0/24", ["203.0.113.5"])]);
  expect(runs.length).toBeLessThan(5);
  expect(runs.filter((run) => run.includes("-batch"))).not.toEqual([]);
});
