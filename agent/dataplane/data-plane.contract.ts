import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import type { InboundSa, OutboundPolicy, OutboundSa } from "../ipsec/security-association.ts";
import { parseSelector } from "../ipsec/traffic-selector.ts";
import { Encr, Integ } from "../wire/iana.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import type { DataPlane } from "./data-plane.ts";

/** What every data plane guarantees. Each case gets a plane of its own without SAs and may leave anything installed. */
export const dataPlaneContract: readonly { readonly name: string; readonly run: (plane: DataPlane) => Promise<void> }[] = [
  {
    name: "answers with counters from the moment an SA is installed until it is deleted",
    run: async (plane) => {
      strictEqual(plane.querySa("inbound", spi(1)), null);
      await plane.installSa(inbound(1));
      await plane.installSa(outbound(2));
      for (const counters of [plane.querySa("inbound", spi(1)), plane.querySa("outbound", spi(2))]) {
        deepStrictEqual(counters, {
          packets: 0,
          bytes: 0,
          lastUsedAt: 0,
          drops: { replay: 0, integrity: 0, noSa: 0, policy: 0, tooBig: 0, lifetime: 0, malformed: 0, congestion: 0, unsent: 0 },
        });
      }
      strictEqual(plane.querySa("outbound", spi(1)), null);
      await plane.deleteSa("inbound", spi(1));
      strictEqual(plane.querySa("inbound", spi(1)), null);
      ok(plane.querySa("outbound", spi(2)) !== null);
    },
  },
  {
    name: "refuses an SPI twice in a direction, keeps the first, and takes it again once it was deleted",
    run: async (plane) => {
      await plane.installSa(inbound(1));
      await plane.installSa({ ...outbound(1), childSaId: "other direction" });
      await refuses(plane.installSa(inbound(1)), /installed already/);
      await refuses(plane.installSa(outbound(1)), /installed already/);
      ok(plane.querySa("inbound", spi(1)) !== null);
      await plane.deleteSa("inbound", spi(1));
      await plane.installSa(inbound(1));
    },
  },
  {
    name: "refuses a policy that names a missing SA, and takes it when the SA is there",
    run: async (plane) => {
      await refuses(plane.installPolicy(protect("p", 9)), /not installed/);
      await plane.installSa(outbound(9));
      await plane.installPolicy(protect("p", 9));
      await plane.installPolicy({ ...protect("p", 9), action: { kind: "discard" } });
      await plane.deletePolicy("p");
    },
  },
  {
    name: "takes a policy with SAs of single workers, and refuses one of which such an SA is missing",
    run: async (plane) => {
      await plane.installSa(outbound(7));
      await plane.installSa(outbound(8));
      await refuses(plane.installPolicy(protect("p", 7, [spi(8), spi(9)])), /not installed/);
      await plane.installPolicy(protect("p", 7, [null, spi(8)]));
      await plane.installPolicy(protect("p", 7));
      await plane.deleteSa("outbound", spi(8));
      await refuses(plane.installPolicy(protect("p", 7, [spi(8)])), /not installed/);
    },
  },
  {
    name: "refuses a suite that it does not have, and holds nothing of it",
    run: async (plane) => {
      for (const make of [inbound, outbound]) {
        const sa = make(3);
        await refuses(plane.installSa({ ...sa, keys: { ...sa.keys, encryptionKey: new Uint8Array(17) } }), /no ESP cipher/);
        strictEqual(plane.querySa(sa.direction, spi(3)), null);
        await plane.installSa(sa);
      }
    },
  },
  {
    name: "takes ESP that does not go in UDP, AH and transport mode where its capabilities say so, and refuses each of them otherwise",
    run: async (plane) => {
      const { encapsulations, protocols, modes } = plane.capabilities;
      const keys = { ...common(4).keys, encr: Encr.NULL, encryptionKey: new Uint8Array(0), salt: new Uint8Array(0) };
      const ah = { protocol: "ah", encapsulation: "none", keys: { ...keys, integ: Integ.HMAC_SHA2_256_128, integrityKey: new Uint8Array(32) } } as const;
      const kinds = [
        { has: encapsulations.includes("none"), change: { encapsulation: "none" } as const },
        { has: protocols.includes("ah"), change: ah },
        { has: modes.includes("transport"), change: { mode: "transport" } as const },
      ];
      for (const make of [inbound, outbound]) {
        for (const { has, change } of kinds) {
          const sa = { ...make(3), ...change };
          if (!has) await refuses(plane.installSa(sa), /./);
          else {
            await plane.installSa(sa);
            await plane.deleteSa(sa.direction, sa.spi);
          }
          strictEqual(plane.querySa(sa.direction, spi(3)), null);
        }
        await refuses(plane.installSa({ ...make(3), ...ah, encapsulation: "udp" }), /./);
        await refuses(plane.installSa({ ...make(3), ...ah, keys: { ...ah.keys, integrityKey: new Uint8Array(20) } }), /./);
        strictEqual(plane.querySa(make(3).direction, spi(3)), null);
      }
    },
  },
  {
    name: "flushes every SA; what was flushed can be installed again, a policy only with its SA",
    run: async (plane) => {
      await plane.installSa(inbound(4));
      await plane.installSa(outbound(5));
      await plane.installPolicy(protect("p", 5));
      await plane.flush();
      strictEqual(plane.querySa("inbound", spi(4)), null);
      strictEqual(plane.querySa("outbound", spi(5)), null);
      await refuses(plane.installPolicy(protect("p", 5)), /not installed/);
      await plane.installSa(outbound(5));
      await plane.installPolicy(protect("p", 5));
    },
  },
  {
    name: "keeps a policy whose SA is deleted, without one, and takes it again with another SA",
    run: async (plane) => {
      await plane.installSa(outbound(6));
      await plane.installPolicy(protect("p", 6));
      await plane.deleteSa("outbound", spi(6));
      strictEqual(plane.querySa("outbound", spi(6)), null);
      await refuses(plane.installPolicy(protect("p", 6)), /not installed/);
      await plane.installSa(outbound(8));
      await plane.installPolicy(protect("p", 8));
      // The policy's old SA is not missed, and its new one is not touched by taking the old away once more.
      await plane.deleteSa("outbound", spi(6));
      ok(plane.querySa("outbound", spi(8)) !== null);
      await plane.deletePolicy("p");
      ok(plane.querySa("outbound", spi(8)) !== null);
    },
  },
  {
    name: "takes what a path takes, of a peer with SAs or not yet, and keeps the SAs",
    run: async (plane) => {
      await plane.setPathMtu?.("127.0.0.2", 1_400);
      await plane.installSa(inbound(1));
      await plane.installSa(outbound(2));
      await plane.setPathMtu?.("127.0.0.2", 576);
      await plane.setPathMtu?.("2001:db8::1", 1_280);
      await plane.setPathMtu?.("127.0.0.2", 1_500);
      ok(plane.querySa("inbound", spi(1)) !== null && plane.querySa("outbound", spi(2)) !== null);
    },
  },
  {
    name: "takes orders about what is not there as done",
    run: async (plane) => {
      await plane.deleteSa("inbound", spi(7));
      await plane.deletePolicy("none");
      await plane.updateSa("outbound", spi(7), { address: "192.0.2.9", port: 4_501 });
    },
  },
  {
    name: "closes within half a second, twice without harm, and refuses orders afterwards",
    run: async (plane) => {
      await plane.installSa(inbound(1));
      const before = performance.now();
      await plane.close();
      ok(performance.now() - before < 500, `took ${performance.now() - before} ms`);
      await plane.close();
      await refuses(plane.installSa(inbound(2)), /not running/);
      plane.sendNatKeepalive({ address: "127.0.0.1", port: 4_500 }, { address: "127.0.0.1", port: 4_500 });
    },
  },
];

async function refuses(order: Promise<void>, sentence: RegExp): Promise<void> {
  await rejects(order, (error) => error instanceof Error && sentence.test(error.message) && !error.message.includes("\n"));
}

function spi(value: number): EspSpi {
  return value as EspSpi;
}

function common(value: number) {
  return {
    childSaId: `child-${value}`,
    spi: spi(value),
    keys: { encr: Encr.AES_GCM_16, encryptionKey: new Uint8Array(16).fill(value), salt: new Uint8Array(4), integ: Integ.NONE, integrityKey: new Uint8Array(0) },
    extendedSequenceNumbers: false,
    protocol: "esp",
    mode: "tunnel",
    local: { address: "127.0.0.1", port: 4_500 },
    remote: { address: "127.0.0.2", port: 4_500 },
    encapsulation: "udp",
  } as const;
}

const selectors = { localSelectors: [parseSelector("10.1.0.0/24")], remoteSelectors: [parseSelector("10.2.0.0/24")] };

function inbound(value: number): InboundSa {
  return { ...common(value), ...selectors, direction: "inbound", replayWindowPackets: 64 };
}

function outbound(value: number): OutboundSa {
  return { ...common(value), direction: "outbound" };
}

function protect(id: string, value: number, workerSpis?: readonly (EspSpi | null)[]): OutboundPolicy {
  return { id, ...selectors, action: { kind: "protect", spi: spi(value), ...(workerSpis === undefined ? {} : { workerSpis }) } };
}
