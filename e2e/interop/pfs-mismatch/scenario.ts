import { equal } from "node:assert/strict";
import { expectFailure, expectTraffic, expectUp, linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "pfs-mismatch",
  description: "Other PFS groups at both ends: the link comes up and no rekey succeeds, from either end; our sentences say so, and traffic goes on",
  async run(context) {
    const peer = await context.startPeer({ child: { esp_proposals: "aes256gcm16-modp2048" } });
    const us = await context.startUs({ esp: { proposals: ["aes256gcm16-x25519"] } });
    const before = await expectUp(context, us, peer);
    await us.rekey(linkId, "child");
    const ours = await expectFailure(us, "NO_PROPOSAL_CHOSEN", /could not be rekeyed/);
    equal(
      ours,
      'The Child SA "net" could not be rekeyed. The peer accepts none of the ESP proposals that this side offered at the rekey: aes256gcm16-x25519. It may want another PFS group or none, which only shows at a rekey.',
    );
    await peer.rekey({ child: "net" });
    const theirs = await expectFailure(us, "NO_PROPOSAL_CHOSEN", /the peer offers/);
    equal(
      theirs,
      "No common ESP proposal at the rekey: the peer offers aes256gcm16-modp2048; this side allows aes256gcm16-x25519 (key exchange: offered modp2048, allowed x25519). The first Child SA takes its keys from the IKE SA, so a difference in PFS groups only shows at a rekey.",
    );
    context.note(theirs);
    const after = await expectUp(context, us, peer);
    equal(after.child.inboundSpi, before.child.inboundSpi);
    await expectTraffic(context);
  },
};
