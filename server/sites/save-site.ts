import { z } from "zod";
import { recordEvent } from "../audit/record-event.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { lockConfiguration } from "../db/configuration-lock.ts";
import { Conflict, Invalid, NotFound } from "../errors.ts";
import { networkList } from "../links/link-config.ts";
import { overlap, parseAddress, parsePrefix } from "../links/prefix.ts";
import { parseInput } from "../parse-input.ts";
import { gatewaysOfLink, touchGateways } from "../publishing/touch.ts";

const hostName = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

const siteForm = z.object({
  name: z.string().trim().min(1, "Give the site a name.").max(80, "At most 80 characters."),
  networks: networkList,
  address: z
    .string()
    .trim()
    .refine(
      (text) => text === "" || parseAddress(text) !== null || (hostName.test(text) && /[a-z]/i.test(text)),
      "Write an IP address or a host name, or leave it empty.",
    )
    .transform((text) => (text === "" ? null : text)),
});

type SiteForm = z.output<typeof siteForm>;

/** Creates a site and its gateway's place. Throws Invalid, with the field, for a taken name or overlapping networks. */
export async function createSite(actor: Actor, input: unknown): Promise<{ id: string }> {
  authorize(actor, "edit");
  const form = parseInput(siteForm, input);
  return database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    await checkSite(tx, form, null);
    const site = await tx.site.create({
      data: { name: form.name, address: form.address, networks: { create: numbered(form.networks) }, gateway: { create: {} } },
    });
    await recordEvent(tx, { ...eventOf(actor, site, "created", `Site ${site.name} was created`), after: form });
    await announce(tx, { resource: "site", id: site.id });
    return { id: site.id };
  });
}

/** Changes a site. Links keep the networks they were made with; a new address is told to the gateways of its links. */
export async function updateSite(actor: Actor, siteId: string, input: unknown): Promise<{ id: string }> {
  authorize(actor, "edit");
  const form = parseInput(siteForm, input);
  return database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const site = await tx.site.findUnique({ where: { id: siteId }, include: { networks: { orderBy: { position: "asc" } } } });
    if (site === null) throw new NotFound("There is no such site.");
    await checkSite(tx, form, siteId);
    await tx.siteNetwork.deleteMany({ where: { siteId } });
    await tx.site.update({
      where: { id: siteId },
      data: { name: form.name, address: form.address, networks: { create: numbered(form.networks) } },
    });
    const before = { name: site.name, address: site.address, networks: site.networks.map((network) => network.prefix) };
    await recordEvent(tx, {
      ...eventOf(actor, { id: siteId, name: form.name }, "changed", `Site ${form.name} was changed`),
      before,
      after: form,
    });
    if (site.address !== form.address) await touchLinksOf(tx, siteId);
    await announce(tx, { resource: "site", id: siteId });
    return { id: siteId };
  });
}

/** Deletes a site that no link uses, with its gateway's identity. */
export async function deleteSite(actor: Actor, siteId: string): Promise<void> {
  authorize(actor, "edit");
  await database().$transaction(async (tx) => {
    await lockConfiguration(tx);
    const site = await tx.site.findUnique({ where: { id: siteId }, include: { gateway: true } });
    if (site === null) throw new NotFound("There is no such site.");
    const links = await tx.link.findMany({ where: { OR: [{ siteAId: siteId }, { siteBId: siteId }] }, select: { name: true } });
    if (links.length > 0) throw new Conflict(`Delete its links first: ${links.map((link) => link.name).join(", ")}.`);
    await tx.site.delete({ where: { id: siteId } });
    await recordEvent(tx, {
      ...eventOf(actor, site, "deleted", `Site ${site.name} was deleted`),
      before: { name: site.name, address: site.address },
    });
    await announce(tx, { resource: "site", id: siteId });
    if (site.gateway !== null) await announce(tx, { resource: "gateway", id: site.gateway.id });
  });
}

async function checkSite(tx: Transaction, form: SiteForm, ownId: string | null): Promise<void> {
  const sameName = await tx.site.findUnique({ where: { name: form.name } });
  if (sameName !== null && sameName.id !== ownId) throw new Invalid({ name: "There is a site of this name already." });
  const others = await tx.siteNetwork.findMany({
    where: ownId === null ? {} : { siteId: { not: ownId } },
    include: { site: { select: { name: true } } },
  });
  const own = form.networks.map(parsePrefix);
  own.forEach((network, index) => {
    if ("error" in network) return;
    const twin = own.slice(0, index).find((earlier) => !("error" in earlier) && overlap(earlier, network));
    if (twin !== undefined && !("error" in twin)) throw new Invalid({ networks: `${network.text} overlaps ${twin.text} in the same list.` });
    for (const other of others) {
      const theirs = parsePrefix(other.prefix);
      if (!("error" in theirs) && overlap(network, theirs)) {
        throw new Invalid({
          networks: `${network.text} overlaps ${theirs.text} of the site “${other.site.name}”. Two sites with the same addresses cannot be linked.`,
        });
      }
    }
  });
}

async function touchLinksOf(tx: Transaction, siteId: string): Promise<void> {
  for (const link of await tx.link.findMany({ where: { OR: [{ siteAId: siteId }, { siteBId: siteId }] } }))
    await touchGateways(tx, await gatewaysOfLink(tx, link), [link.id]);
}

function numbered(networks: readonly string[]) {
  return networks.map((prefix, position) => ({ prefix, position }));
}

function eventOf(actor: Actor, site: { id: string; name: string }, verb: string, summary: string) {
  return {
    resource: "site",
    resourceId: site.id,
    resourceName: site.name,
    verb,
    actorId: actor.userId,
    actorName: actor.name,
    summary,
  } as const;
}
