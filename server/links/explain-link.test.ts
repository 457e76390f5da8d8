import { afterAll, beforeAll, expect, it } from "vitest";
import type { TraceEntry } from "../../contract/observed-state.ts";
import { database } from "../db/client.ts";
import { NotFound } from "../errors.ts";
import { ingestTrace } from "../reports/ingest-trace.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { createTestLink } from "../testing/link-forms.ts";
import { explainLink } from "./explain-link.ts";

let stop: () => Promise<void>;
let linkId: string;
let gateways: readonly [string, string];
let at = 1_800_000_000_000;
let sequence = 0;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  const [siteA, siteB] = [
    (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "198.51.100.1" })).id,
    (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.2" })).id,
  ];
  linkId = await createTestLink(siteA, siteB);
  const gatewayAt = async (siteId: string) => (await database().gateway.findFirstOrThrow({ where: { siteId } })).id;
  gateways = [await gatewayAt(siteA), await gatewayAt(siteB)];
});
afterAll(() => stop());

function step(exchange: string, summary: string, detail: Record<string, unknown>): TraceEntry {
  at += 10;
  return { at, linkId, sequence: sequence++, direction: "local", exchange, messageId: null, summary, detail };
}

it("says nothing of a link that has not been tried", async () => {
  expect(await explainLink(owner, linkId)).toBeNull();
});

it("tells from both ends' traces what differs and what to change, and afterwards that it is over", async () => {
  const refused = {
    failure: "NO_PROPOSAL_CHOSEN",
    facts: { cause: "proposalsRefused", protocol: "IKE", offered: "aes256gcm16-prfsha384-x25519", atRekey: false },
  };
  const differ = {
    failure: "NO_PROPOSAL_CHOSEN",
    facts: {
      cause: "proposals",
      protocol: "IKE",
      offered: "aes256gcm16-prfsha384-x25519",
      allowed: "aes256gcm16-prfsha384-modp2048",
      differences: [{ kind: "key exchange", offered: ["x25519"], allowed: ["modp2048"] }],
      atRekey: false,
    },
  };
  await ingestTrace(gateways[0], [step("IKE_SA_INIT", "The peer accepts none.", refused)]);
  await ingestTrace(gateways[1], [step("IKE_SA_INIT", "No common IKE proposal.", differ)]);
  const found = {
    code: "NO_PROPOSAL_CHOSEN",
    sentence: "Amsterdam offers group x25519 only for IKE, Berlin only modp2048: add x25519 to Berlin or modp2048 to Amsterdam.",
  };
  expect(await explainLink(owner, linkId)).toEqual({ ...found, isOver: false });
  for (const gateway of gateways) await ingestTrace(gateway, [step("CHILD_SA", "Child SA lan installed", { childSaId: "child-1" })]);
  expect(await explainLink(owner, linkId)).toEqual({ ...found, isOver: true });
});

it("knows no link that is not there", async () => {
  await expect(explainLink(owner, "00000000-0000-4000-8000-000000000000")).rejects.toBeInstanceOf(NotFound);
});
