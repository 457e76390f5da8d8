import { equal, notEqual, ok } from "node:assert/strict";
import { pollUntil } from "../lib/poll.ts";
import type { Agent } from "../lib/agent.ts";
import type { Charon } from "../lib/charon.ts";
import { expectNewChild, expectUp, linkId, withoutLoss, type Context, type LinkInput, type PeerOptions, type Scenario } from "./scenario.ts";

/** Which SA is replaced, at whose wish. */
type What = "child" | "ike";
type Who = "us" | "peer";

/** Both key exchanges hybrid, for a peer that can: what `link` and `peer` of a scenario need for it. */
const hybrid = {
  ike: "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
  esp: "aes256gcm16-x25519-ke1_mlkem768",
};

/** A scenario in which an SA is rekeyed three times on command, while both ends send echoes. */
export function commandedRekey(name: string, what: What, who: Who, initiator: Who = "us", esp = "aes256gcm16-x25519"): Scenario {
  return {
    name,
    description: `${title(what)} rekeyed three times on ${who === "us" ? "our" : "the peer's"} command, ${initiator === "us" ? "we" : "the peer"} initiated${esp.includes("-") ? "" : ", without PFS"}: 0 lost`,
    async run(context) {
      const peer = await context.startPeer({ child: { esp_proposals: esp } });
      const us = await context.startUs({ initiate: initiator === "us" ? "start" : "respond", esp: { proposals: [esp] } });
      if (initiator === "peer") await peer.initiate("net");
      await rekeyThreeTimes(context, us, peer, what, who);
    },
  };
}

/** The same with ML-KEM-768 in every key exchange, so that each rekey has an IKE_FOLLOWUP_KE. */
export function hybridRekey(name: string, what: What, who: Who): Scenario {
  return {
    name,
    description: `${title(what)} with x25519 and ML-KEM-768 rekeyed three times on ${who === "us" ? "our" : "the peer's"} command: 0 lost`,
    needsNewPeer: true,
    async run(context) {
      const peer = await context.startPeer({ isNew: true, connection: { proposals: hybrid.ike }, child: { esp_proposals: hybrid.esp } });
      const us = await context.startUs({ ike: { proposals: [hybrid.ike] }, esp: { proposals: [hybrid.esp] } });
      await rekeyThreeTimes(context, us, peer, what, who);
      const { ike, child } = await expectUp(context, us, peer);
      equal(ike.suite, hybrid.ike);
      if (what === "child") equal(child.suite, hybrid.esp);
    },
  };
}

async function rekeyThreeTimes(context: Context, us: Agent, peer: Charon, what: What, who: Who): Promise<void> {
  await expectUp(context, us, peer);
  await withoutLoss(context, async () => {
    for (let round = 0; round < 3; round++) await rekeyOnce(context, us, peer, what, who);
  });
  await us.waitForLink(
    linkId,
    "the replaced SAs to be gone",
    ({ ikeSas }) => (ikeSas.length === 1 && ikeSas[0]?.childSas.length === 1 ? true : undefined),
    15_000,
  );
}

async function rekeyOnce(context: Context, us: Agent, peer: Charon, what: What, who: Who): Promise<void> {
  const before = await expectUp(context, us, peer);
  if (who === "us") await us.rekey(linkId, what);
  else await peer.rekey(what === "ike" ? { ike: "site" } : { child: "net" });
  await us.waitForLink(linkId, `a new ${title(what)}`, ({ ikeSas }) => {
    const old = ikeSas.some((ike) =>
      what === "ike"
        ? ike.spiI === before.ike.spiI
        : ike.childSas.some((child) => child.state === "established" && child.inboundSpi === before.child.inboundSpi),
    );
    return old || ikeSas.length === 0 ? undefined : true;
  });
  const after = await expectUp(context, us, peer);
  if (what === "ike") {
    // RFC 7296 §2.8: the new IKE SA inherits the Child SAs as they are.
    ok(after.child.inboundSpi === before.child.inboundSpi, "the Child SA was replaced with the IKE SA");
    notEqual(after.ike.spiR, before.ike.spiR);
  } else {
    ok(after.ike.spiI === before.ike.spiI, "the IKE SA was replaced with the Child SA");
    notEqual(after.peerChild.spiIn, before.peerChild.spiIn);
  }
}

/** A scenario in which one end rekeys by itself every few seconds; `least` new SAs must be seen. */
export function timedRekey(name: string, what: What, who: Who, least = 2): Scenario {
  const sides = timers(what, who);
  return {
    name,
    description: `${title(what)} rekeyed by ${who === "us" ? "our" : "the peer's"} timer of 3 s, at least ${least} times: 0 lost`,
    async run(context) {
      const peer = await context.startPeer(sides.peers);
      const us = await context.startUs(sides.ours);
      await expectUp(context, us, peer);
      const seen = new Set<string>();
      await withoutLoss(context, () =>
        pollUntil(
          `${least} rekeys`,
          20_000,
          async () => {
            const { ikeSas } = await us.link(linkId);
            for (const ike of ikeSas) for (const id of what === "ike" ? [ike.spiI] : ike.childSas.map((child) => child.inboundSpi)) seen.add(id);
            return seen.size > least ? true : undefined;
          },
          () => `Seen: ${[...seen].join(", ")}`,
        ),
      );
    },
  };
}

/** A scenario in which both ends are told to rekey the same SA at the same time, five times over (RFC 7296 §2.8.1, §2.8.2). */
export function collidingRekey(name: string, what: What, isHybrid = false): Scenario {
  return {
    name,
    description: `${title(what)}${isHybrid ? " with x25519 and ML-KEM-768" : ""} rekeyed by both ends at once, five times: they agree on one again, 0 lost`,
    ...(isHybrid ? { needsNewPeer: true } : {}),
    async run(context) {
      const peer = await context.startPeer(isHybrid ? { isNew: true, connection: { proposals: hybrid.ike }, child: { esp_proposals: hybrid.esp } } : {});
      const us = await context.startUs(isHybrid ? { ike: { proposals: [hybrid.ike] }, esp: { proposals: [hybrid.esp] } } : {});
      await expectUp(context, us, peer);
      await withoutLoss(context, async () => {
        for (let round = 0; round < 5; round++) {
          const before = await expectUp(context, us, peer, 15_000);
          await Promise.all([us.rekey(linkId, what), peer.rekey(what === "ike" ? { ike: "site" } : { child: "net" })]);
          if (what === "child") await expectNewChild(us, before.child.inboundSpi);
          else
            await us.waitForLink(linkId, "a new IKE SA", ({ ikeSas }) =>
              ikeSas.some((ike) => ike.state === "established" && ike.spiI !== before.ike.spiI) ? true : undefined,
            );
        }
      });
      await expectUp(context, us, peer, 15_000);
    },
  };
}

function timers(what: What, who: Who): { ours: Partial<LinkInput>; peers: PeerOptions } {
  if (who === "us") {
    if (what === "child") return { ours: { esp: { proposals: ["aes256gcm16-x25519"], rekeySeconds: 3 } }, peers: {} };
    return { ours: { ike: { proposals: ["aes256gcm16-prfsha384-x25519"], rekeySeconds: 3 } }, peers: {} };
  }
  if (what === "child") return { ours: {}, peers: { child: { rekey_time: "3s", life_time: "8s", rand_time: "0s" } } };
  return { ours: {}, peers: { connection: { rekey_time: "3s", over_time: "8s", rand_time: "0s" } } };
}

function title(what: What): string {
  return what === "ike" ? "IKE SA" : "Child SA";
}
