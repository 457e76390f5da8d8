import { equal } from "node:assert/strict";
import { join } from "node:path";
import type { Agent } from "../lib/agent.ts";
import type { Charon } from "../lib/charon.ts";
import { RevokingAuthority } from "../lib/revoking-authority.ts";
import type { Context, Scenario } from "./scenario.ts";

/** The middle's address as the left site sees it: there the authority has its servers. */
const authorityAddress = "192.0.2.254";

export interface RevocationPlace {
  readonly context: Context;
  readonly authority: RevokingAuthority;
  readonly peer: Charon;
  readonly us: Agent;
}

/**
 * A scenario in which the peer's certificate says where its authority tells of revoked ones. The peer has not called yet; `prepare` says
 * what the authority does before anybody calls.
 */
export function revocationScenario(options: {
  readonly name: string;
  readonly description: string;
  readonly asks: "list" | "ocsp";
  readonly policy: "soft" | "strict";
  readonly reauthenticateSeconds?: number;
  readonly prepare: (authority: RevokingAuthority, context: Context) => Promise<void>;
  readonly check: (place: RevocationPlace) => Promise<void>;
}): Scenario {
  return {
    name: options.name,
    description: options.description,
    async run(context) {
      const authority = await RevokingAuthority.make(join(context.directory, "authority"), authorityAddress);
      try {
        const where = options.asks === "list" ? authority.listExtension : authority.ocspExtension;
        const left = await authority.issue("left.example");
        const right = await authority.issue("right.example", [where]);
        await options.prepare(authority, context);
        const peer = await context.startPeer({
          connection: {
            local: { auth: "pubkey", id: "right.example", certs: "own0.pem" },
            remote: { auth: "pubkey", id: "left.example" },
          },
          certificates: [right],
          authorities: [authority.certificatePem],
        });
        const us = await context.startUs({
          initiate: "respond",
          ike: options.reauthenticateSeconds === undefined ? {} : { reauthenticateSeconds: options.reauthenticateSeconds },
          authentication: {
            method: "certificate",
            certificates: [{ id: "own", chain: left.certificatePem, privateKey: left.privateKeyPem }],
            use: "own",
            trustedAuthorities: [authority.certificatePem],
            revocation: options.policy,
          },
        });
        await options.check({ context, authority, peer, us });
      } finally {
        authority.close();
      }
    },
  };
}

/** The peer calls and is refused. */
export async function expectRefused({ peer }: RevocationPlace): Promise<void> {
  equal((await peer.tryInitiate("net")).ok, false);
}
