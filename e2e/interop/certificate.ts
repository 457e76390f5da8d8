import { equal, match } from "node:assert/strict";
import type { KeyKind } from "../lib/pki.ts";
import { expectUp, type Scenario } from "./scenario.ts";

const rsa = /authentication of 'left\.example' with RSA.* successful/;
const ecdsa = /authentication of 'left\.example' with ECDSA.* successful/;

/** What each kind of key is called, and what charon says of a signature with it. */
const kinds: Readonly<Record<KeyKind, { readonly keys: string; readonly successful: RegExp }>> = {
  "rsa-2048": { keys: "RSA-2048", successful: rsa },
  "rsa-4096": { keys: "RSA-4096", successful: rsa },
  "ecdsa-p256": { keys: "ECDSA P-256", successful: ecdsa },
  "ecdsa-p384": { keys: "ECDSA P-384", successful: ecdsa },
  "ecdsa-p521": { keys: "ECDSA P-521", successful: ecdsa },
  ed25519: { keys: "Ed25519", successful: /authentication of 'left\.example' with ED25519.* successful/ },
};

/** A scenario in which both ends prove themselves with a certificate of one authority (RFC 7296 §2.15, RFC 7427). */
export function certificateScenario(kind: KeyKind, name: string, initiator: "us" | "peer"): Scenario {
  const { keys, successful } = kinds[kind];
  return {
    name,
    description: `${keys} certificates, ${initiator === "us" ? "we initiate" : "the peer initiates"}`,
    async run(context) {
      const { ours, peers } = await context.certificates(kind);
      const peer = await context.startPeer(peers);
      const us = await context.startUs({ ...ours, initiate: initiator === "us" ? "start" : "respond" });
      if (initiator === "peer") await peer.initiate("net");
      const { ike } = await expectUp(context, us, peer);
      equal(ike.role, initiator === "us" ? "initiator" : "responder");
      equal(ike.credentialId, "own");
      match(peer.log(), successful);
    },
  };
}
