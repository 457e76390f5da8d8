import { z } from "zod";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Conflict, Invalid, NotFound } from "../errors.ts";
import { chooseImported } from "../keys/import-certificate.ts";
import { linkConfig } from "../links/link-config.ts";
import { parseInput } from "../parse-input.ts";
import { insistIdle, requestRun } from "./request-run.ts";

const replacement = z.object({ certificateId: z.string().max(64) });

/**
 * Has the end of ours of a link to a third-party peer show another imported certificate, as a rotation: both are kept until the new one is in
 * use, and the old one stays when the peer refuses it. Whom the peer's certificate must come from stays as it is. Throws Invalid at
 * `certificateId`, Conflict when the link's keys are being replaced already or its end has no imported certificate.
 */
export async function replaceImported(actor: Actor, linkId: string, input: unknown): Promise<void> {
  authorize(actor, "edit");
  const { certificateId } = parseInput(replacement, input);
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const link = await tx.link.findUnique({ where: { id: linkId }, include: { credentials: { where: { state: "active" } } } });
    if (link === null) throw new NotFound("There is no such link.");
    const [active] = link.credentials;
    if (link.siteBId !== null || active?.kind !== "certificate" || active.trustedPem === null)
      throw new Conflict(`${link.name} does not use an imported certificate. Its keys are replaced under Keys.`);
    await insistIdle(tx, link);
    const { certificate } = await chooseImported(tx, certificateId, active.trustedPem);
    if (certificate.fingerprint === active.fingerprint) throw new Invalid({ certificateId: "The link uses this certificate already." });
    const { identityA } = linkConfig.parse(link.config);
    if (certificate.identity !== identityA)
      throw new Invalid({
        certificateId: `It speaks for ${certificate.identity}, the peer expects ${identityA}. Choose one for the same identity, or make another link.`,
      });
    await requestRun(tx, { actor, link, kind: "certificate", scheduleId: null, dryRun: false, importId: certificate.id });
  });
}
