import { equal, match } from "node:assert/strict";
import type { KeyKind } from "../lib/pki.ts";
import { expectUp, type Scenario } from "./scenario.ts";

/** A scenario in which both ends prove themselves with a certificate of one authority (RFC 7296 §2.15, RFC 7427). */
export function certificateScenario(kind: KeyKind, name: string, initiator: "us" | "peer"): Scenario {
  const keys = kind === "rsa-2048" ? "RSA-2048" : "ECDSA P-256";
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
      match(
        peer.log(),
        kind === "rsa-2048" ? /authentication of 'left\.example' with RSA.* successful/ : /authentication of 'left\.example' with ECDSA.* successful/,
      );
    },
  };
}
