import type { LinkConfig } from "../../ike/endpoint-types.ts";
import { Courier } from "../courier.ts";
import type { Packet } from "../lossy-link.ts";
import { linkConfigs, Pair, type Side } from "../pair.ts";
import { revocablePeers } from "../revocable-peers.ts";

/* Moments at which one end waits for an authentic message of the other: each with the genuine message, not delivered yet. */

export interface Scene {
  readonly pair: Pair;
  readonly courier: Courier;
  readonly to: Side;
  readonly packet: Packet;
}

type Overrides = Parameters<typeof linkConfigs>[0];

const HYBRID: Partial<LinkConfig> = { ikeProposals: ["aes256gcm16-prfsha384-x25519-ke1_mlkem512"], espProposals: ["aes256gcm16-x25519-ke1_mlkem512"] };
const CERTIFICATES: Overrides = { a: { credentials: withoutQuestions("a") }, b: { credentials: withoutQuestions("b") } };
/** Nothing is cut into fragments, which have a target of their own. */
const LARGEST = { largestMessage: 8_000 };

function withoutQuestions(side: "a" | "b"): LinkConfig["credentials"] {
  return { ...revocablePeers[side], revocation: "off" } as LinkConfig["credentials"];
}

/** The two before their first message. */
function lay(overrides: Overrides): { readonly pair: Pair; readonly courier: Courier } {
  const pair = new Pair(7, { a: LARGEST, b: LARGEST });
  const courier = new Courier(pair);
  const configs = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  return { pair, courier };
}

function established(overrides: Overrides): { readonly pair: Pair; readonly courier: Courier } {
  const laid = lay(overrides);
  laid.courier.deliverAll();
  if (!laid.pair.bothUp()) throw new Error("the pair of a scene does not come up");
  return laid;
}

/** `steps`: how many packets are delivered, each side in turn beginning with `a`, before the one that is kept. */
function after({ pair, courier }: { readonly pair: Pair; readonly courier: Courier }, steps: number): Scene {
  for (let step = 0; step < steps; step++) courier.deliver(step % 2 === 0 ? pair.a : pair.b);
  const [from, to] = steps % 2 === 0 ? [pair.a, pair.b] : [pair.b, pair.a];
  return { pair, courier, to, packet: courier.keep(from) };
}

const acts = {
  rekeyChild: (pair: Pair) => pair.give(pair.a, { kind: "rekey", linkId: "link", what: "child" }),
  rekeyIke: (pair: Pair) => pair.give(pair.a, { kind: "rekey", linkId: "link", what: "ike" }),
  deleteIke: (pair: Pair) => pair.give(pair.a, { kind: "down", linkId: "link" }),
  deleteChild: (pair: Pair) => {
    const child = pair.a.link().ikeSas[0]!.children[0]!;
    pair.give(pair.a, { kind: "expire", childSaId: child.id, spi: child.outboundSpi, hard: true });
  },
  liveness: (pair: Pair) => pair.run(31_000),
} as const;

function acted(name: keyof typeof acts, steps: number, overrides: Overrides = {}): () => Scene {
  return () => {
    const laid = established(overrides);
    acts[name](laid.pair);
    return after(laid, steps);
  };
}

/** Both ends have a request of this kind on its way when that of `a` comes. */
function crossed(name: "rekeyChild" | "rekeyIke", other: "rekeyChild" | "rekeyIke"): () => Scene {
  return () => {
    const laid = established({});
    acts[name](laid.pair);
    laid.pair.give(laid.pair.b, { kind: "rekey", linkId: "link", what: other === "rekeyIke" ? "ike" : "child" });
    return after(laid, 0);
  };
}

/** Requests to `b` and answers to `a`, in the order of a life. */
export const scenes: readonly (() => Scene)[] = [
  () => after(lay({}), 2),
  () => after(lay({}), 3),
  () => after(lay(CERTIFICATES), 2),
  () => after(lay(CERTIFICATES), 3),
  () => after(lay({ both: HYBRID }), 2),
  () => after(lay({ both: HYBRID }), 3),
  () => after(lay({ both: HYBRID }), 4),
  () => after(lay({ both: { childless: true } }), 2),
  () => after(lay({ both: { childless: true } }), 4),
  () => after(lay({ both: { childless: true } }), 5),
  acted("rekeyChild", 0),
  acted("rekeyChild", 1),
  acted("rekeyChild", 0, { both: { espProposals: ["aes256gcm16-x25519", "aes128gcm16"] } }),
  acted("rekeyIke", 0),
  acted("rekeyIke", 1),
  acted("rekeyChild", 2, { both: HYBRID }),
  acted("rekeyChild", 3, { both: HYBRID }),
  acted("rekeyIke", 2, { both: HYBRID }),
  acted("rekeyIke", 3, { both: HYBRID }),
  crossed("rekeyChild", "rekeyChild"),
  crossed("rekeyIke", "rekeyIke"),
  crossed("rekeyChild", "rekeyIke"),
  acted("deleteChild", 0),
  acted("deleteChild", 1),
  acted("deleteIke", 0),
  acted("liveness", 0),
  acted("liveness", 1),
];
