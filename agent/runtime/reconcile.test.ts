import { expect, test } from "vitest";
import type { DesiredState } from "../../contract/desired-state.ts";
import type { DataPlaneCapabilities } from "../dataplane/data-plane.ts";
import type { Input } from "../ike/endpoint-types.ts";
import { steeredByRoutes } from "./link-config.ts";
import { Reconciler } from "./reconcile.ts";
import { stateOfLinks } from "./test-doubles.ts";

const userspace: DataPlaneCapabilities = {
  name: "tun",
  reason: "",
  encapsulations: ["udp", "none"],
  preferredEncapsulation: "udp",
  protocols: ["esp", "ah"],
  modes: ["tunnel"],
  extendedSequenceNumbers: true,
  steering: "device",
};

function setUp(hosts: Record<string, readonly string[]> = {}, capabilities = userspace) {
  const inputs: Input[] = [];
  const reconciler = new Reconciler({
    submit: async (input) => void inputs.push(input),
    peerName: (name) => {
      const addresses = hosts[name];
      return addresses === undefined ? { kind: "unresolved", reason: "ENOTFOUND" } : { kind: "known", addresses };
    },
    plane: capabilities,
  });
  const take = () =>
    inputs.splice(0).map((input) => (input.kind === "setLink" ? `set ${input.link.id}` : input.kind === "removeLink" ? `remove ${input.linkId}` : input.kind));
  return { inputs, reconciler, take, hosts };
}

const change = (state: DesiredState, index: number, changes: Partial<DesiredState["links"][number]>): DesiredState => ({
  ...state,
  revision: state.revision + 1,
  links: state.links.map((link, at) => (at === index ? { ...link, ...changes } : link)),
});

test("only the link that changed is touched", async () => {
  const { reconciler, take } = setUp();
  const state = stateOfLinks(5);
  await reconciler.apply(state);
  expect(take()).toEqual(["set l1", "set l2", "set l3", "set l4", "set l5"]);
  await reconciler.apply({ ...state, revision: 8 });
  expect(take()).toEqual([]);
  await reconciler.apply(change(state, 2, { esp: { ...state.links[2]!.esp, rekeySeconds: 60 } }));
  expect(take()).toEqual(["set l3"]);
});

test("a new name or probe costs the tunnel nothing", async () => {
  const { reconciler, take } = setUp();
  const state = stateOfLinks(2);
  await reconciler.apply(state);
  take();
  await reconciler.apply(change(state, 0, { name: "other", probe: { source: "10.1.0.1", target: "10.2.0.1" }, probeSeconds: 9 }));
  expect(take()).toEqual([]);
});

test("a link that is disabled or gone is removed, and only that", async () => {
  const { reconciler, take } = setUp();
  const state = stateOfLinks(3);
  await reconciler.apply(state);
  take();
  await reconciler.apply({ ...change(state, 0, { enabled: false }), links: change(state, 0, { enabled: false }).links.slice(0, 2) });
  expect(take().toSorted()).toEqual(["remove l1", "remove l3"]);
});

test("a bad link is refused with the reason, the others are applied, and its former version runs on", async () => {
  const { reconciler, take } = setUp();
  const state = stateOfLinks(3);
  await reconciler.apply(state);
  take();
  const verdicts = await reconciler.apply(change(state, 1, { ike: { ...state.links[1]!.ike, proposals: ["rot13"] } }));
  expect(verdicts.map((verdict) => verdict.outcome)).toEqual(["applied", "refused", "applied"]);
  expect(verdicts[1]!.reason).toMatch(/^ike\.proposals\[0\]: .*rot13/);
  expect(take()).toEqual([]);
  expect(reconciler.running.has("l2")).toBe(true);
});

const named = { remote: { address: "peer.example", port: 500, identity: "b" } };
const refusedVersions: Record<string, Partial<DesiredState["links"][number]>> = {
  "that overlaps another": { children: stateOfLinks(1).links[0]!.children },
  "with proposals that are none": { ike: { ...stateOfLinks(1).links[0]!.ike, proposals: ["rot13"] } },
  "whose secret is still in a file": {
    authentication: { method: "psk", keys: [{ id: "k1", secret: { file: "/nowhere" } }], use: "k1" },
  },
};

test.each(Object.entries(refusedVersions))("a version %s stays refused however often names are resolved, and keeps no other from it", async (_, version) => {
  const { reconciler, take, hosts } = setUp({ "peer.example": ["198.51.100.9"] });
  const state = change(stateOfLinks(3), 1, named);
  await reconciler.apply(state);
  take();
  const bad = change(change(state, 1, version), 2, { remote: { ...named.remote, address: "late.example" } });
  expect((await reconciler.apply(bad)).map(({ outcome }) => outcome)).toEqual(["applied", "refused", "refused"]);
  hosts["late.example"] = ["198.51.100.7"];
  expect(await reconciler.refreshAddresses(() => true)).toEqual(["l3"]);
  expect(await reconciler.refreshAddresses(() => true)).toEqual([]);
  expect([take(), [...reconciler.held.keys()]]).toEqual([["set l3"], ["l2"]]);
  // Its former version runs on, and follows its name.
  hosts["peer.example"] = ["198.51.100.10"];
  expect(await reconciler.refreshAddresses(() => true)).toEqual(["l2"]);
  expect(reconciler.running.get("l2")).toMatchObject({ desired: state.links[1]!, config: { remoteAddresses: ["198.51.100.10"] } });
  expect(reconciler.held.get("l2")).toMatchObject({ why: "refused" });
});

test("a link that never ran and is refused does not run when its name resolves", async () => {
  const { reconciler, take } = setUp({ "peer.example": ["198.51.100.9"] });
  await reconciler.apply(change(change(stateOfLinks(2), 1, named), 1, refusedVersions["that overlaps another"]!));
  expect([await reconciler.refreshAddresses(() => true), take(), reconciler.running.size]).toEqual([[], ["set l1"], 1]);
});

test("a link that changes to a name is not set back to its former one once that resolves", async () => {
  const { reconciler, take, hosts } = setUp({ "old.example": ["198.51.100.1"] });
  const state = change(stateOfLinks(1), 0, { remote: { ...named.remote, address: "old.example" } });
  await reconciler.apply(state);
  await reconciler.apply(change(state, 0, named));
  hosts["peer.example"] = ["198.51.100.9"];
  take();
  expect(await reconciler.refreshAddresses(() => true)).toEqual(["l1"]);
  expect([take(), reconciler.running.get("l1")?.config.remoteAddresses]).toEqual([["set l1"], ["198.51.100.9"]]);
});

test("a host name that does not resolve is refused, and set once it does", async () => {
  const { reconciler, take, inputs, hosts } = setUp();
  const state = change(stateOfLinks(1), 0, { remote: { address: "peer.example", port: 500, identity: "b" } });
  expect((await reconciler.apply(state))[0]).toMatchObject({ outcome: "refused", reason: expect.stringContaining("peer.example does not resolve") });
  expect(take()).toEqual([]);
  hosts["peer.example"] = ["198.51.100.9"];
  expect(await reconciler.refreshAddresses(() => true)).toEqual(["l1"]);
  expect(inputs[0]).toMatchObject({ kind: "setLink", link: { remoteAddresses: ["198.51.100.9"] } });
  expect(reconciler.held.size).toBe(0);
});

test("a tunnel that is up does not follow a changed name; one that is down does; no answer changes nothing", async () => {
  const { reconciler, take, hosts } = setUp({ "peer.example": ["198.51.100.9"] });
  await reconciler.apply(change(stateOfLinks(1), 0, { remote: { address: "peer.example", port: 500, identity: "b" } }));
  take();
  hosts["peer.example"] = ["198.51.100.10"];
  expect(await reconciler.refreshAddresses(() => false)).toEqual([]);
  expect(take()).toEqual([]);
  expect(await reconciler.refreshAddresses(() => true)).toEqual(["l1"]);
  expect(take()).toEqual(["set l1"]);
  delete hosts["peer.example"];
  expect(await reconciler.refreshAddresses(() => true)).toEqual([]);
  expect(take()).toEqual([]);
});

test("a change of something else gives a link no other addresses: the tunnel may be up", async () => {
  const { reconciler, hosts } = setUp({ "peer.example": ["198.51.100.9"] });
  const state = change(stateOfLinks(2), 0, named);
  await reconciler.apply(state);
  hosts["peer.example"] = ["198.51.100.10"];
  await reconciler.apply(change(change(state, 0, { initiate: "respond" }), 1, named));
  expect([...reconciler.running.values()].map(({ config }) => config.remoteAddresses)).toEqual([["198.51.100.9"], ["198.51.100.10"]]);
});

test("the names to look up are those of links held for them and of links that are idle, and none of a refused version", async () => {
  const { reconciler } = setUp({ "a.example": ["198.51.100.1"], "b.example": ["198.51.100.2"] });
  const to = (address: string) => ({ remote: { ...named.remote, address } });
  const state = change(change(change(stateOfLinks(4), 0, to("a.example")), 1, to("b.example")), 2, to("c.example"));
  await reconciler.apply(state);
  await reconciler.apply(change(state, 0, { ...to("d.example"), ...refusedVersions["with proposals that are none"]! }));
  expect([...reconciler.namesToFollow((linkId) => linkId !== "l2")].toSorted()).toEqual(["a.example", "c.example"]);
  expect(reconciler.awaitsNames).toBe(false);
});

test("a link asks for UDP encapsulation where it says so, or where the plane has nothing else or is faster with it", async () => {
  const kernel: DataPlaneCapabilities = { ...userspace, preferredEncapsulation: "none" };
  const withoutRawSockets: DataPlaneCapabilities = { ...userspace, encapsulations: ["udp"], protocols: ["esp"] };
  const forced = async (plane: DataPlaneCapabilities, encapsulation?: "auto" | "udp" | "plain") => {
    const { reconciler } = setUp({}, plane);
    await reconciler.apply(change(stateOfLinks(1), 0, { encapsulation }));
    return reconciler.running.get("l1")?.config.forceEncapsulation;
  };
  const wishes = [undefined, "auto", "udp", "plain"] as const;
  expect(await Promise.all(wishes.map((wish) => forced(userspace, wish)))).toEqual([true, true, true, false]);
  expect(await Promise.all(wishes.map((wish) => forced(kernel, wish)))).toEqual([false, false, true, false]);
  expect(await Promise.all(wishes.map((wish) => forced(withoutRawSockets, wish)))).toEqual([true, true, true, true]);
});

test("a link that the plane cannot carry is refused with the reason, and AH never asks for UDP", async () => {
  const ah = change(stateOfLinks(1), 0, { ah: { proposals: ["sha256"] } });
  const { reconciler } = setUp();
  expect(await reconciler.apply(ah)).toEqual([{ linkId: "l1", outcome: "applied", reason: null }]);
  expect(reconciler.running.get("l1")?.config).toMatchObject({ ahProposals: ["sha256"], forceEncapsulation: false });
  const lacking = setUp({}, { ...userspace, encapsulations: ["udp"], protocols: ["esp"] });
  expect((await lacking.reconciler.apply(ah))[0]?.reason).toBe("the link needs AH, which the data plane tun does not have here");
  const child = { name: "host", localNetworks: ["192.0.2.1/32"], remoteNetworks: ["192.0.2.2/32"], mode: "transport" as const };
  const [verdict] = await setUp().reconciler.apply(change(stateOfLinks(1), 0, { children: [child] }));
  expect(verdict?.reason).toMatch(/^"host" asks for transport mode, which the data plane tun does not have/);
});

test("a link of everything has an interface of its own where the plane has such, for as long as it is the only one of its family", async () => {
  const kernel: DataPlaneCapabilities = { ...userspace, name: "kernel", steering: "policies", interfacePrefix: "culvertx" };
  const { reconciler, take } = setUp({}, kernel);
  const to = (index: number, ...remoteNetworks: string[]) => ({
    ...stateOfLinks(3).links[index]!,
    children: [{ ...stateOfLinks(3).links[index]!.children[0]!, remoteNetworks }],
  });
  const numbers = async (...links: DesiredState["links"]) => {
    const verdicts = await reconciler.apply({ ...stateOfLinks(1), links });
    expect(verdicts.map(({ outcome }) => outcome)).toEqual(links.map(() => "applied"));
    return Object.fromEntries([...reconciler.running].map(([id, { config }]) => [id, config.interfaceNumber]));
  };
  const [everything, everything6, site] = [to(0, "0.0.0.0/0"), to(1, "::/0", "2001:db8:9::/48"), to(2, "10.9.0.0/24")];
  expect(await numbers(everything, everything6)).toEqual({ l1: 1, l2: 2 });
  // Its local networks are what tells it from the other, which policies see and routes do not.
  const elsewhere = { ...site, children: [{ ...site.children[0]!, localNetworks: ["10.8.0.0/24"] }] };
  take();
  expect(await numbers(everything, everything6, elsewhere)).toEqual({ l1: undefined, l2: 2, l3: undefined });
  expect(take()).toEqual(["set l1", "set l3"]);
  expect(await numbers(everything, everything6, { ...elsewhere, enabled: false })).toEqual({ l1: 1, l2: 2 });
  // Not a number that something of the former link may still have.
  expect(await numbers(everything6)).toEqual({ l2: 2 });
  expect(await numbers(everything, everything6)).toEqual({ l1: 3, l2: 2 });
  const transport = {
    ...everything,
    children: [...everything.children, { name: "t", localNetworks: ["192.0.2.1/32"], remoteNetworks: ["192.0.2.2/32"], mode: "transport" as const }],
  };
  expect([...steeredByRoutes([transport, everything6])]).toEqual(["l2"]);
  const { address: _, ...anywhere } = everything6.remote;
  expect([...steeredByRoutes([everything, { ...everything6, remote: anywhere }])]).toEqual(["l1"]);
  const without = setUp();
  await without.reconciler.apply({ ...stateOfLinks(1), links: [everything, everything6] });
  expect([...without.reconciler.running.values()].map(({ config }) => config.interfaceNumber)).toEqual([undefined, undefined]);
});
