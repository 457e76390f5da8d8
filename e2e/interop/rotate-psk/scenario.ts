import { deepEqual, equal } from "node:assert/strict";
import type { Agent } from "../../lib/agent.ts";
import { expectTraffic, linkId, preSharedKey, withoutLoss, type LinkInput, type Scenario } from "../scenario.ts";

const first = { id: "first", secret: preSharedKey };
const second = { id: "second", secret: "a staple of another colour" };

export const scenario: Scenario = {
  name: "rotate-psk",
  description: "Our gateway at both ends, the key replaced: staged at both, authenticated anew with it, the old one retired, 0 lost",
  async run(context) {
    const right = await context.startUsAtRight();
    const left = await context.startUs();
    // On a busy machine both may have begun at once: what stays is at both ends.
    const before = await authenticatedWith(left, first.id);
    equal(await authenticatedWith(right, first.id), before);
    await expectTraffic(context);
    let revision = 1;
    const configure = async (authentication: LinkInput["authentication"]) => {
      revision += 1;
      await right.configure({ ...context.configurationAtRight({ authentication }), revision });
      await left.configure({ ...context.configuration({ authentication }), revision });
    };
    await withoutLoss(
      context,
      async () => {
        await configure({ method: "psk", keys: [first, second], use: "first" });
        equal((await left.waitUntilUp(linkId)).ike.spiI, before, "staging a key must not touch the SAs");
        await configure({ method: "psk", keys: [first, second], use: "second" });
        equal((await left.waitUntilUp(linkId)).ike.spiI, before, "choosing a key must not touch the SAs");
        await left.command({ name: "reauthenticate", linkId });
        const renewed = await Promise.all([authenticatedWith(left, "second"), authenticatedWith(right, "second")]);
        equal(renewed[0], renewed[1]);
        await configure({ method: "psk", keys: [second], use: "second" });
        deepEqual([await authenticatedWith(left, "second"), await authenticatedWith(right, "second")], renewed, "retiring a key must not touch the SAs");
      },
      150,
    );
    await expectTraffic(context);
  },
};

/** Waits until the link has one IKE SA, proven with this key, and returns the initiator's SPI. */
function authenticatedWith(agent: Agent, keyId: string): Promise<string> {
  return agent.waitForLink(linkId, `to hold only an IKE SA of key ${keyId}`, ({ ikeSas }) =>
    ikeSas.length === 1 && ikeSas[0]?.credentialId === keyId && ikeSas[0].state === "established" ? ikeSas[0].spiI : undefined,
  );
}
