import { describe, expect, it } from "vitest";
import { layBench } from "../testing/exchange-case.ts";
import { answerInstead, forgeRequest } from "../testing/forgery.ts";
import { establishedPair, linkConfigs, Pair, type Side } from "../testing/pair.ts";
import { settlementFaults } from "../testing/settlement.ts";
import { fromPrefix, toWire } from "../ipsec/traffic-selector.ts";
import { ExchangeType, NotifyType } from "../wire/iana.ts";
import { notify } from "./messaging.ts";
import { offer } from "./negotiation/choose-proposal.ts";
import { parseProposal } from "./negotiation/proposal-keywords.ts";

const sent = (side: Side, exchange: string) =>
  side.trace.filter((entry) => entry.direction === "sent" && entry.summary.startsWith(exchange)).map((entry) => entry.summary);
const requests = (side: Side) => sent(side, "CREATE_CHILD_SA request");
const children = (side: Side) => side.link().ikeSas.flatMap((sa) => sa.children);
const said = (side: Side) => side.trace.filter((entry) => entry.direction === "local").map((entry) => entry.summary);

function settled(overrides: Parameters<typeof establishedPair>[1]): Pair {
  const pair = establishedPair(5, overrides);
  pair.run(60_000);
  return pair;
}

/** On demand: a packet has come. */
function woken(overrides: Parameters<typeof establishedPair>[1]): Pair {
  const pair = new Pair(5);
  const configs = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  for (const { id } of [...pair.a.policies.values()]) pair.give(pair.a, { kind: "acquire", policyId: id });
  pair.run(60_000);
  return pair;
}

describe("several Child SAs of the same selectors (RFC 9611)", () => {
  it("are announced by SA_RESOURCE_INFO both ways with the first, and follow with one each", () => {
    const pair = settled({ both: { perResourceSas: 2 } });
    expect(sent(pair.a, "IKE_AUTH request")[0]).toContain("N(SA_RESOURCE_INFO)");
    expect(sent(pair.b, "IKE_AUTH response")[0]).toContain("N(SA_RESOURCE_INFO)");
    expect(requests(pair.a)).toHaveLength(2);
    for (const message of [...requests(pair.a), ...sent(pair.b, "CREATE_CHILD_SA response")]) expect(message).toContain("N(SA_RESOURCE_INFO)");
    expect(requests(pair.b)).toEqual([]);
    expect(settlementFaults(pair)).toEqual([]);
  });

  it("have keys and SPIs of their own, and each worker's policy names its own", () => {
    const pair = settled({ both: { perResourceSas: 2 } });
    for (const side of [pair.a, pair.b]) {
      const keys = [...side.outbound.values()].map((sa) => Buffer.from(sa.keys.encryptionKey).toString("hex"));
      expect(new Set(keys).size).toBe(3);
      const byWorker = new Map(children(side).map((child) => [child.worker, child.outboundSpi]));
      expect(side.policies.get("link/net")?.action).toEqual({ kind: "protect", spi: byWorker.get(0), workerSpis: [byWorker.get(1), byWorker.get(2)] });
    }
  });

  it("are one with a peer that does not answer with SA_RESOURCE_INFO, and it is not asked for more", () => {
    const pair = settled({ a: { perResourceSas: 2 } });
    expect(sent(pair.b, "IKE_AUTH response")[0]).not.toContain("SA_RESOURCE_INFO");
    expect([children(pair.a).length, requests(pair.a).length, pair.a.failures()]).toEqual([1, 0, []]);
    expect(pair.a.policies.get("link/net")?.action).toEqual({ kind: "protect", spi: children(pair.a)[0]?.outboundSpi });
  });

  it("are refused with TS_MAX_QUEUE by a peer with room for fewer; that ends the asking and is no failure", () => {
    const pair = settled({ a: { perResourceSas: 4 }, b: { perResourceSas: 1 } });
    expect(sent(pair.b, "CREATE_CHILD_SA response").at(-1)).toContain("N(TS_MAX_QUEUE)");
    expect(said(pair.a)).toContain('2 Child SAs of "net", the peer takes no more (TS_MAX_QUEUE).');
    const asked = requests(pair.a).length;
    pair.run(1_800_000);
    expect([requests(pair.a).length, pair.a.failures(), pair.b.failures()]).toEqual([asked, [], []]);
    expect([children(pair.a).length, children(pair.b).length]).toEqual([2, 2]);
  });

  it("are asked for again where the peer has no time now, and not where it refuses for another reason", () => {
    for (const [type, left] of [
      [NotifyType.TEMPORARY_FAILURE, 2],
      [NotifyType.NO_ADDITIONAL_SAS, 1],
      [NotifyType.NO_PROPOSAL_CHOSEN, 1],
      [NotifyType.TS_UNACCEPTABLE, 1],
    ] as const) {
      const bench = layBench({ configs: { a: { perResourceSas: 0 }, b: { perResourceSas: 1 } } }, null);
      const { config } = bench.a.engine.links.get("link")!;
      bench.pair.give(bench.a, { kind: "setLink", link: { ...config, perResourceSas: 1 } });
      // The first one was made before: it says so when it is rekeyed.
      bench.pair.give(bench.a, { kind: "rekey", linkId: "link", what: "child" });
      for (let exchange = 0; exchange < 2; exchange++) {
        bench.courier.deliver(bench.a);
        bench.courier.deliver(bench.b);
      }
      answerInstead(bench.courier, bench.a, bench.b, [notify(type)]);
      bench.courier.leave();
      bench.pair.run(300_000);
      expect([children(bench.a).length, children(bench.b).length]).toEqual([left, left]);
      expect(bench.a.failures()).toEqual([]);
    }
  });

  it("ask for what the first was narrowed to, and for its algorithms alone", () => {
    const narrow = { children: [{ name: "net", localSelectors: [fromPrefix("10.2.0.0/25")], remoteSelectors: [fromPrefix("10.1.0.0/24")] }] };
    const pair = settled({ both: { perResourceSas: 1, espProposals: ["aes256gcm16", "aes128gcm16"] }, b: narrow });
    const [first, further] = children(pair.a);
    expect(further?.remoteSelectors).toEqual([fromPrefix("10.2.0.0/25")]);
    expect(first?.remoteSelectors).toEqual(further?.remoteSelectors);
    const entry = pair.a.trace.find(({ direction, summary }) => direction === "sent" && summary.startsWith("CREATE_CHILD_SA request"));
    const detail = JSON.stringify(entry?.detail);
    expect(detail).toContain("10.2.0.0/25");
    expect(detail).toContain('"algorithms":"aes256gcm16"');
    expect(detail).not.toContain("aes128");
  });

  it("are refused with other algorithms than those of the first", () => {
    const pair = settled({ both: { perResourceSas: 2, espProposals: ["aes256gcm16", "aes128gcm16"] }, a: { perResourceSas: 1 } });
    const spec = parseProposal("aes128gcm16", "esp");
    const request = forgeRequest(pair.a, pair.b, ExchangeType.CREATE_CHILD_SA, [
      notify(NotifyType.SA_RESOURCE_INFO),
      { kind: "sa", proposals: offer([spec], Uint8Array.of(1, 2, 3, 4), true) },
      { kind: "nonce", data: new Uint8Array(32).fill(9) },
      { kind: "tsi", selectors: [toWire(fromPrefix("10.1.0.0/24"))] },
      { kind: "tsr", selectors: [toWire(fromPrefix("10.2.0.0/24"))] },
    ]);
    pair.give(pair.b, { kind: "datagram", local: request.to, remote: request.from, bytes: request.bytes });
    expect(sent(pair.b, "CREATE_CHILD_SA response").at(-1)).toContain("N(NO_PROPOSAL_CHOSEN)");
    expect(children(pair.b)).toHaveLength(2);
  });

  it("keep their workers when they are rekeyed, whether or not the peer repeats the notify", () => {
    const pair = settled({ both: { perResourceSas: 2 } });
    const before = children(pair.a).map((child) => child.outboundSpi);
    const workersBefore = children(pair.a).map((child) => child.worker);
    pair.give(pair.a, { kind: "rekey", linkId: "link", what: "child" });
    pair.run(60_000);
    expect(children(pair.a).map((child) => child.worker)).toEqual(workersBefore);
    expect(children(pair.a).some((child) => before.includes(child.outboundSpi))).toBe(false);
    expect(
      requests(pair.a)
        .slice(-3)
        .every((message) => message.includes("N(REKEY_SA)") && message.includes("N(SA_RESOURCE_INFO)")),
    ).toBe(true);
  });

  it("may be deleted by the peer without that being taken for another lifetime, unless it is the last", () => {
    const pair = woken({ both: { perResourceSas: 1 }, a: { initiate: "onDemand" } });
    const findings = () => pair.a.trace.flatMap(({ detail }) => ("finding" in detail ? [detail["finding"]] : []));
    const expire = (which: number) => {
      const child = children(pair.b)[which]!;
      pair.give(pair.b, { kind: "expire", childSaId: child.id, spi: child.outboundSpi, hard: true });
      pair.run(1_000);
    };
    expire(1);
    expect([children(pair.a).length, findings()]).toEqual([1, []]);
    expire(0);
    expect(findings()).toEqual(["SA_LIFETIME_MISMATCH"]);
  });

  it("end with a peer that is silent, and all of them come back", () => {
    const pair = settled({ both: { perResourceSas: 2 } });
    pair.link.quality = { ...pair.link.quality, loss: 1 };
    expect(pair.runUntil(() => pair.a.link().state === "negotiating" && pair.b.link().state !== "up", 300_000)).toBe(true);
    pair.link.quality = { ...pair.link.quality, loss: 0 };
    expect(settlementFaults(pair)).toEqual([]);
  });

  it("are all there on the IKE SA that a reauthentication makes, and the traffic is on them", () => {
    const pair = settled({ both: { perResourceSas: 2 } });
    pair.give(pair.a, { kind: "reauthenticate", linkId: "link" });
    expect(settlementFaults(pair)).toEqual([]);
    pair.run(60_000);
    for (const side of [pair.a, pair.b]) expect(children(side).map((child) => child.worker)).toEqual([0, 1, 2]);
  });

  it("rest together when nothing passes through any of them", () => {
    const pair = woken({ both: { perResourceSas: 2, inactivityMs: 600_000 }, a: { initiate: "onDemand" } });
    expect(children(pair.a)).toHaveLength(3);
    pair.run(900_000);
    expect([children(pair.a).length, children(pair.b).length]).toEqual([0, 0]);
  });
});
