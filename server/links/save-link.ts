import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Conflict, NotFound } from "../errors.ts";
import { createCredentials } from "../keys/credentials.ts";
import { revokeKeysOfLink, withEnds } from "../keys/gateway-keys.ts";
import { credentialOfImport } from "../keys/import-certificate.ts";
import { ensureLists } from "../keys/revocation-list.ts";
import { gatewaysOfLink, touchGateways } from "../publishing/touch.ts";
import { openSecret } from "../secrets/store.ts";
import { type LinkConfig, linkConfig } from "./link-config.ts";
import { checkLinkConfig, checkLinkEdit, checkLinkForm } from "./link-form.ts";

/**
 * Creates a link: ONE transaction holds the row, its first version, its keys, the event and the gateways' new revision. `secret`
 * is the generated key, once, when a third-party peer must be given it; else null.
 */
export async function createLink(actor: Actor, input: unknown): Promise<{ id: string; secret: string | null }> {
  authorize(actor, "edit");
  return database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const checked = await checkLinkForm(tx, input);
    const { config } = checked;
    const link = await tx.link.create({ data: { name: config.name, siteAId: config.siteAId, siteBId: checked.siteB?.id ?? null, config } });
    await tx.linkVersion.create({ data: { linkId: link.id, version: 1, config, summary: "Created", actorName: actor.name } });
    const [credential] =
      checked.imported === null
        ? await createCredentials(tx, { id: link.id, config }, "active", checked.secret)
        : [await credentialOfImport(tx, link.id, checked.imported)];
    await listIfStrict(tx, config);
    await recordEvent(tx, { ...eventOf(actor, link, "created", `Link ${config.name} was created`), after: config });
    await touchGateways(tx, await gatewaysOfLink(tx, link), [link.id]);
    await announce(tx, { resource: "key", id: link.id });
    const mustTell = config.peer.kind === "third-party" && config.method === "psk" && checked.secret === null && credential?.secretId;
    return { id: link.id, secret: mustTell ? await openSecret(tx, mustTell) : null };
  });
}

/**
 * Saves a form over a link as its next version. Throws Invalid at the field, Conflict when another has saved since the form was filled.
 * A gateway gets only what differs: SAs of other links are never touched, and this link's only where they must be.
 */
export async function editLink(actor: Actor, linkId: string, input: unknown): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const { before, config, link } = await checkLinkEdit(tx, linkId, input);
    await saveVersion(tx, actor, link, { before, after: config, verb: "changed", summary: summaryOf(before, config) });
  });
}

/** Enables or disables: disabled, its tunnel drops at both ends and its configuration stays. */
export async function setLinkEnabled(actor: Actor, linkId: string, enabled: boolean): Promise<void> {
  authorize(actor, "edit");
  const verb = enabled ? "enabled" : "disabled";
  await changeLink(actor, linkId, verb, enabled ? "Enabled" : "Disabled", (config) => ({ ...config, enabled }));
}

/** Saves an older version's settings as a new version. Whether the link is enabled stays as it is. */
export async function rollbackLink(actor: Actor, linkId: string, version: number): Promise<void> {
  authorize(actor, "edit");
  await changeLink(actor, linkId, "changed", `Rolled back to version ${version}`, async (config, tx) => {
    const old = await tx.linkVersion.findUnique({ where: { linkId_version: { linkId, version } } });
    if (old === null) throw new NotFound(`There is no version ${version}.`);
    const target = linkConfig.parse(old.config);
    if (target.method !== config.method) throw new Conflict("That version authenticated another way; its keys no longer exist.");
    return { ...target, enabled: config.enabled };
  });
}

/** Deletes a link with its keys and history; certificates that the console issued for it are revoked. The gateways drop it with their next revision. */
export async function deleteLink(actor: Actor, linkId: string): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const link = await tx.link.findUnique({ where: { id: linkId }, include: withEnds });
    if (link === null) throw new NotFound("There is no such link.");
    const gateways = await gatewaysOfLink(tx, link);
    const revoked = await revokeKeysOfLink(tx, link);
    await tx.link.delete({ where: { id: linkId } });
    await tx.secret.deleteMany({ where: { id: { in: link.credentials.map((each) => each.secretId).filter((id) => id !== null) } } });
    await recordEvent(tx, { ...eventOf(actor, link, "deleted", `Link ${link.name} was deleted`), before: linkConfig.parse(link.config) });
    if (revoked.count > 0)
      await recordEvent(tx, {
        ...eventOf(
          actor,
          link,
          "revoked",
          `${revoked.count === 1 ? "A certificate" : `${revoked.count} certificates`} of ${link.name} revoked: it was deleted`,
        ),
        resource: "key",
      });
    await touchGateways(tx, [...new Set([...gateways, ...revoked.gatewayIds])], []);
    await announce(tx, { resource: "link", id: linkId }, { resource: "key", id: linkId });
  });
}

type Change = (config: LinkConfig, tx: Transaction) => LinkConfig | Promise<LinkConfig>;

/** Reads the newest version, changes it, saves it as the next, tells the gateways. */
async function changeLink(actor: Actor, linkId: string, verb: string, summary: string, change: Change): Promise<void> {
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const link = await tx.link.findUnique({ where: { id: linkId } });
    if (link === null) throw new NotFound("There is no such link.");
    const before = linkConfig.parse(link.config);
    const after = await change(before, tx);
    if (!isSame(before, after)) await checkLinkConfig(tx, after, linkId);
    await saveVersion(tx, actor, link, { before, after, verb, summary });
  });
}

interface Saved {
  readonly before: LinkConfig;
  readonly after: LinkConfig;
  readonly verb: string;
  readonly summary: string;
}

/** Nothing happens when nothing differs. */
async function saveVersion(
  tx: Transaction,
  actor: Actor,
  link: { readonly id: string; readonly version: number; readonly siteAId: string; readonly siteBId: string | null },
  { before, after, verb, summary }: Saved,
): Promise<void> {
  if (isSame(before, after)) return;
  const version = link.version + 1;
  await tx.link.update({ where: { id: link.id }, data: { config: after, version, name: after.name, enabled: after.enabled } });
  await tx.linkVersion.create({ data: { linkId: link.id, version, config: after, summary, actorName: actor.name } });
  await listIfStrict(tx, after);
  await recordEvent(tx, {
    ...eventOf(actor, { id: link.id, name: after.name }, verb, `Link ${after.name}: ${summary.toLowerCase()}`),
    before,
    after,
  });
  await touchGateways(tx, await gatewaysOfLink(tx, link), [link.id]);
}

/** A link that insists on knowing whether the console's certificates are revoked needs a list that says so. */
async function listIfStrict(tx: Transaction, { method, peer, revocation }: LinkConfig): Promise<void> {
  if (method === "certificate" && peer.kind === "site" && revocation === "strict") await ensureLists(tx);
}

/** By value: two configs are written by the same schema, so their keys come in the same order. */
function isSame(one: LinkConfig, other: LinkConfig): boolean {
  return JSON.stringify(linkConfig.parse(one)) === JSON.stringify(linkConfig.parse(other));
}

/** "Changed networks and ESP", for the list of versions. */
function summaryOf(before: LinkConfig, after: LinkConfig): string {
  const parts = [
    { name: "name", pick: (config: LinkConfig): unknown => config.name },
    { name: "peer", pick: (config: LinkConfig): unknown => config.peer },
    { name: "networks", pick: (config: LinkConfig): unknown => [config.networksA, config.networksB] },
    { name: "when it is brought up", pick: (config: LinkConfig): unknown => config.bringUp },
    { name: "revocation", pick: (config: LinkConfig): unknown => config.revocation },
    { name: "encapsulation", pick: (config: LinkConfig): unknown => config.encapsulation },
    { name: "protocol", pick: (config: LinkConfig): unknown => config.ah },
    { name: "mode", pick: (config: LinkConfig): unknown => config.mode },
    { name: "when it is closed", pick: (config: LinkConfig): unknown => config.inactivitySeconds },
    { name: "IKE", pick: (config: LinkConfig): unknown => config.ike },
    { name: "ESP", pick: (config: LinkConfig): unknown => config.esp },
  ];
  const changed = parts.filter(({ pick }) => JSON.stringify(pick(before)) !== JSON.stringify(pick(after))).map(({ name }) => name);
  return `Changed ${new Intl.ListFormat("en").format(changed)}`;
}

function eventOf(actor: Actor, link: { id: string; name: string }, verb: string, summary: string) {
  return {
    resource: "link",
    resourceId: link.id,
    resourceName: link.name,
    verb,
    actorId: actor.userId,
    actorName: actor.name,
    summary,
  } as const;
}
