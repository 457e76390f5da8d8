import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { OutboundPolicy } from "../../ipsec/security-association.ts";
import { parseSelector } from "../../ipsec/traffic-selector.ts";
import { buildTcp } from "../../testing/inner-packets.ts";
import { parseAddress } from "../../wire/address.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { makeIpPacketView, readIpPacket } from "../../wire/ip.ts";
import { PolicyTable } from "./policy-table.ts";

interface Sa {
  readonly name: string;
}

function policy(id: string, local: readonly string[], remote: readonly string[]): OutboundPolicy {
  return { id, localSelectors: local.map(parseSelector), remoteSelectors: remote.map(parseSelector), action: { kind: "protect", spi: 1 as EspSpi } };
}

function look(table: PolicyTable<Sa>, source: string, destination: string, port = 80, watch = (bytes: Uint8Array) => bytes) {
  const from = parseAddress(source) ?? new Uint8Array(4);
  const to = parseAddress(destination) ?? new Uint8Array(4);
  const family = from.length === 4 ? 4 : 6;
  const bytes = buildTcp({
    family,
    source: from,
    destination: to,
    sourcePort: 999,
    destinationPort: port,
    sequence: 0,
    flags: 16,
    options: new Uint8Array(0),
    payload: new Uint8Array(4),
  });
  const view = makeIpPacketView();
  readIpPacket(bytes, 0, bytes.length, view);
  const number = table.lookup(watch(bytes), view);
  const found = table.policyOf(number) ?? null;
  expect(table.saOf(number)).toBe(found?.sa ?? null);
  return found;
}

/** Prefixes within 16 addresses, so that random ones overlap, shorter ones around them, and everything; of IPv6 also with the host's bits in the middle. */
const families = [
  { family: "IPv4", bits: 32, text: (host: number) => `10.0.0.${host}`, lengths: [0, 28, 29, 30, 31, 32] },
  { family: "IPv6", bits: 128, text: (host: number) => `fd00:1:2:3:4:5:6:${host.toString(16)}`, lengths: [0, 124, 125, 126, 127, 128] },
  { family: "IPv6 networks of 60 to 64 bits", bits: 64, text: (host: number) => `fd00:1:2:${host.toString(16)}::`, lengths: [0, 60, 61, 62, 63, 64] },
] as const;

function prefixesOf({ bits, text, lengths }: (typeof families)[number]) {
  return fc.record({ length: fc.constantFrom(...lengths), host: fc.nat(15) }).map(({ length, host }) => {
    const network = length === 0 ? (bits === 32 ? "0.0.0.0" : "::") : text(host - (host % 2 ** (bits - length)));
    return { length, text: `${network}/${length}`, has: (address: number) => length === 0 || address >> (bits - length) === host >> (bits - length) };
  });
}

describe("PolicyTable", () => {
  it.each(families)(
    "finds what a walk through all policies finds, $family: the longest remote prefix, then the first installed; also from the cache",
    (family) => {
      const prefix = prefixesOf(family);
      const policies = fc.array(fc.record({ id: fc.nat(9).map(String), local: prefix, remote: prefix }), { maxLength: 12 });
      const packets = fc.array(fc.record({ source: fc.nat(15), destination: fc.nat(15), removes: fc.option(fc.nat(9).map(String), { freq: 8 }) }), {
        maxLength: 30,
      });
      fc.assert(
        fc.property(policies, packets, (installed, asked) => {
          const table = new PolicyTable<Sa>();
          const model = new Map<string, (typeof installed)[number]>();
          for (const entry of installed) {
            table.install(policy(entry.id, [entry.local.text], [entry.remote.text]), { name: entry.id });
            model.set(entry.id, entry);
          }
          for (const { source, destination, removes } of asked) {
            if (removes !== null) {
              table.remove(removes);
              model.delete(removes);
            }
            const matching = [...model.values()].filter((entry) => entry.local.has(source) && entry.remote.has(destination));
            const longest = Math.max(...matching.map((entry) => entry.remote.length));
            const expected = matching.find((entry) => entry.remote.length === longest)?.id;
            for (let times = 0; times < 2; times++) expect(look(table, family.text(source), family.text(destination))?.id).toBe(expected);
          }
        }),
        { numRuns: 300 },
      );
    },
  );

  it("says ahead of a lookup which SA it will find, among thousands of networks, and nothing of what it does not know so", () => {
    const table = new PolicyTable<Sa>();
    const sas = Array.from({ length: 3_000 }, (_, index) => ({ name: `10.${64 + (index >> 8)}.${index & 255}.0/24` }));
    const header = (destination: string) => {
      const bytes = new Uint8Array(20);
      bytes[0] = 0x45;
      bytes.set(parseAddress(destination)!, 16);
      return bytes;
    };
    const peeked = (destination: string) => table.peek(header(destination), 0);
    expect(table.place(header("10.64.0.1"), 0)).toBe(0);
    for (const sa of sas) table.install(policy(sa.name, ["10.0.0.0/24"], [sa.name]), sa);
    // Not compiled yet.
    expect(peeked("10.64.0.1")).toBeNull();
    for (const sa of sas) {
      const host = sa.name.replace("0/24", "7");
      expect(look(table, "10.0.0.1", host)?.sa).toBe(sa);
      expect(peeked(host)).toBe(sa);
    }
    expect(peeked("10.99.0.1")).toBeNull();
    expect(table.peek(new Uint8Array(40).fill(0x60, 0, 1), 0)).toBeNull();
    const atHome = sas.filter(
      ({ name }) => table.place(header(name.replace("0/24", "7")), 0) === parseAddress(name.replace("/24", ""))!.reduce((word, octet) => word * 256 + octet, 0),
    );
    expect(atHome.length).toBeGreaterThan(2_000);
  });

  it("answers from the newest state after install, replacement, forgetting an SA, removal and clearing", () => {
    const table = new PolicyTable<Sa>();
    const found = () => look(table, "10.0.0.1", "10.1.0.1");
    expect(found()).toBeNull();
    const old = { name: "old" };
    table.install(policy("a", ["10.0.0.0/24"], ["10.1.0.0/24"]), old);
    expect(found()?.sa).toBe(old);
    const fresh = { name: "fresh" };
    table.install(policy("a", ["10.0.0.0/24"], ["10.1.0.0/24"]), fresh);
    expect(found()?.sa).toBe(fresh);
    table.forget(old);
    expect(found()?.sa).toBe(fresh);
    table.forget(fresh);
    expect(found()).toMatchObject({ id: "a", sa: null, discards: false });
    table.remove("a");
    expect(found()).toBeNull();
    table.install(policy("b", ["0.0.0.0/0"], ["0.0.0.0/0"]), fresh);
    expect(found()?.id).toBe("b");
    table.clear();
    expect(found()).toBeNull();
  });

  it("takes another SA under the same selectors without compiling anything anew, and compiles for other selectors", () => {
    const table = new PolicyTable<Sa>();
    table.install(policy("a", ["10.0.0.0/24"], ["10.1.0.0/24"]), { name: "old" });
    const compiled = look(table, "10.0.0.1", "10.1.0.1");
    table.install(policy("a", ["10.0.0.0/24"], ["10.1.0.0/24"]), { name: "fresh" });
    expect(look(table, "10.0.0.1", "10.1.0.1")).toBe(compiled);
    expect(compiled?.sa?.name).toBe("fresh");
    table.install(policy("a", ["10.0.0.0/24"], ["10.1.0.0/25"]), { name: "narrower" });
    expect(look(table, "10.0.0.1", "10.1.0.1")?.sa?.name).toBe("narrower");
    expect(look(table, "10.0.0.1", "10.1.0.129")).toBeNull();
  });

  it("is patient anew at each outage: since when packets have been refused ends with an SA", () => {
    const table = new PolicyTable<Sa>();
    const install = (sa: Sa | null) => table.install(policy("a", ["10.0.0.0/24"], ["10.1.0.0/24"]), sa);
    const found = () => look(table, "10.0.0.1", "10.1.0.1");
    install(null);
    Object.assign(found() ?? {}, { refusingSince: 5_000 });
    install(null);
    expect(found()?.refusingSince).toBe(5_000);
    const sa = { name: "up" };
    install(sa);
    table.forget(sa);
    expect(found()).toMatchObject({ sa: null, refusingSince: null });
  });

  it("looks at ports for each packet when a policy has them, and again only at addresses when that policy is gone", () => {
    const table = new PolicyTable<Sa>();
    table.install(policy("web", ["10.0.0.0/24"], ["10.1.0.0/24[tcp/80]"]), null);
    table.install(policy("rest", ["10.0.0.0/24"], ["10.1.0.0/16"]), null);
    for (const port of [80, 22, 80, 22]) expect(look(table, "10.0.0.1", "10.1.0.1", port)?.id).toBe(port === 80 ? "web" : "rest");
    table.remove("web");
    for (const port of [80, 22]) expect(look(table, "10.0.0.1", "10.1.0.1", port)?.id).toBe("rest");
  });

  it("matches ranges that are no prefix, and IPv6", () => {
    const table = new PolicyTable<Sa>();
    table.install(policy("range", ["10.0.0.0/24"], ["10.1.0.5-10.1.0.9"]), null);
    table.install(policy("six", ["fd00:1::/64"], ["fd00:2::/64"]), null);
    expect(look(table, "10.0.0.1", "10.1.0.9")?.id).toBe("range");
    expect(look(table, "10.0.0.1", "10.1.0.10")).toBeNull();
    expect(look(table, "fd00:1::1", "fd00:2::1")?.id).toBe("six");
    expect(look(table, "fd00:1::1", "fd00:3::1")).toBeNull();
  });

  it("keeps the families apart, in the table and in the cache", () => {
    const table = new PolicyTable<Sa>();
    table.install(policy("four", ["10.0.0.0/8"], ["0.0.0.0/0"]), null);
    table.install(policy("six", ["fd00:1::/64"], ["::/0"]), null);
    for (let times = 0; times < 3; times++) {
      expect(look(table, "10.0.0.1", "10.1.0.1")?.id).toBe("four");
      expect(look(table, "fd00:1::1", "fd00:2::1")?.id).toBe("six");
      expect(look(table, "fd00:2::1", "fd00:2::1")).toBeNull();
    }
  });

  // Of the packet; of the table compiled-selectors.test.ts says how its hashes spread.
  it.each([
    { family: "IPv4", local: "10.0.0.0/8", remote: (i: number) => `172.${16 + (i >> 8)}.${i & 255}.0/24`, source: "10.0.0.1", destination: "172.16.9.1" },
    { family: "IPv6", local: "fd00::/16", remote: (i: number) => `fc00:0:0:${i.toString(16)}::/64`, source: "fd00::1", destination: "fc00:0:0:9::1" },
  ])("costs the same few reads with 10,000 policies as with 10, $family", ({ local, remote, source, destination }) => {
    const readsWith = (count: number): number => {
      const table = new PolicyTable<Sa>();
      for (let i = 0; i < count; i++) table.install(policy(String(i), [local], [remote(i)]), null);
      let reads = 0;
      const counted = (bytes: Uint8Array) =>
        new Proxy(bytes, {
          get(target, key) {
            if (typeof key === "string" && /^\d+$/.test(key)) reads++;
            return Reflect.get(target, key);
          },
        });
      expect(look(table, source, destination, 80, counted)?.id).toBe("9");
      return reads;
    };
    expect(readsWith(10_000)).toBe(readsWith(10));
  });
});
