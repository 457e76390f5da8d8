import { z } from "zod";
import type { Transaction } from "../db/client.ts";
import { Conflict, Invalid, NotFound } from "../errors.ts";
import { chooseImported, type ImportedChoice } from "../keys/import-certificate.ts";
import { parseInput } from "../parse-input.ts";
import { siteIdentity } from "../sites/identity.ts";
import { type LinkConfig, linkConfig } from "./link-config.ts";
import { choiceProblems } from "./link-rules.ts";
import { peerAddressProblem } from "./peer-address.ts";
import { overlap, type Prefix, parsePrefix } from "./prefix.ts";
import { presetOf } from "./presets.ts";

const peerForm = z.object({ kind: z.literal("third-party"), name: z.string(), address: z.string(), identity: z.string() });

/** Taken from the link's own schema, so that there is one of each; what a form does not send stays what it was. */
const advanced = {
  bringUp: linkConfig.shape.bringUp.unwrap().optional(),
  revocation: linkConfig.shape.revocation.unwrap().optional(),
  encapsulation: linkConfig.shape.encapsulation.unwrap().optional(),
  mode: linkConfig.shape.mode.unwrap().optional(),
  inactivitySeconds: z.number().optional(),
  ah: z
    .strictObject({ proposals: z.array(z.string()) })
    .nullable()
    .optional(),
  livenessAction: linkConfig.shape.ike.shape.livenessAction.unwrap().optional(),
  childless: linkConfig.shape.ike.shape.childless.unwrap().optional(),
  replayWindowPackets: z.number().optional(),
};

/** What may be changed later as it was first given. */
const settings = {
  ...advanced,
  name: z.string(),
  networksA: z.array(z.string()),
  networksB: z.array(z.string()),
  ikeProposals: z.array(z.string()),
  espProposals: z.array(z.string()),
  ikeRekeySeconds: z.number(),
  espRekeySeconds: z.number(),
  livenessSeconds: z.number(),
};

/** A link as the wizard gives it: the two ends by id, the rest as in LinkConfig. */
const linkForm = z.object({
  ...settings,
  siteAId: z.string(),
  peer: z.discriminatedUnion("kind", [z.object({ kind: z.literal("site"), siteId: z.string() }), peerForm]),
  method: z.enum(["psk", "certificate"]),
  /** A key that a third-party peer already has; null: one is made. */
  secret: z.string().max(512, "At most 512 characters.").nullable(),
  /** An imported certificate, for a third-party peer that is not shown a pre-shared key. */
  certificateId: z.string().max(64).default(""),
  /** PEM of the authorities that the peer's certificate comes from; empty: those that came with the imported file. */
  peerAuthorities: z.string().max(65_536, "At most 64 kB.").default(""),
});

/** A saved link as its form gives it back: its ends and its way of authentication stay what they are. */
const linkEdit = z.object({
  ...settings,
  /** The version that the form was filled from: a newer one is not overwritten unseen. */
  version: z.number().int(),
  /** Of a third-party peer, else null. */
  peer: peerForm.nullable(),
});

export interface CheckedLink {
  readonly config: LinkConfig;
  readonly siteA: { readonly id: string; readonly name: string; readonly address: string | null };
  readonly siteB: { readonly id: string; readonly name: string; readonly address: string | null } | null;
  readonly secret: string | null;
  /** What the first end shows a third-party peer; null: a pre-shared key, or the console's own certificates. */
  readonly imported: ImportedChoice | null;
}

/**
 * Parses a form and checks it against everything else: existing names, sites, overlapping networks. Throws Invalid with the
 * reason at each field, named as the wizard names it.
 */
export async function checkLinkForm(tx: Transaction, input: unknown): Promise<CheckedLink> {
  const form = parseInput(linkForm, input);
  const siteA = await tx.site.findUnique({ where: { id: form.siteAId } });
  if (siteA === null) throw new Invalid({ siteAId: "This site is no longer there." });
  const siteB = form.peer.kind === "site" ? await tx.site.findUnique({ where: { id: form.peer.siteId } }) : null;
  if (form.peer.kind === "site" && siteB === null) throw new Invalid({ siteBId: "This site is no longer there." });
  if (siteB !== null && siteB.id === siteA.id) throw new Invalid({ siteBId: "A link needs two different sites." });
  const imported = siteB === null && form.method === "certificate" ? await chooseImported(tx, form.certificateId, form.peerAuthorities) : null;
  const config = parseConfig({
    name: form.name,
    enabled: true,
    siteAId: siteA.id,
    identityA: imported?.certificate.identity ?? siteIdentity(siteA),
    peer: siteB === null ? form.peer : { kind: "site", siteId: siteB.id, identity: siteIdentity(siteB) },
    networksA: form.networksA,
    networksB: form.networksB,
    preset: presetOf(form),
    method: form.method,
    bringUp: form.bringUp,
    revocation: form.revocation,
    encapsulation: form.encapsulation,
    mode: form.mode,
    inactivitySeconds: form.inactivitySeconds,
    ah: form.ah,
    ike: { reauthenticateSeconds: 0, ...ikeOf(form) },
    esp: { replayWindowPackets: 1_024, ...espOf(form) },
  });
  if (siteB !== null && siteA.address === null && siteB.address === null) {
    throw new Invalid({
      siteBId: `Neither ${siteA.name} nor ${siteB.name} has a public address. Give one of them its address under Sites.`,
    });
  }
  await checkLinkConfig(tx, config, null);
  return { config, siteA, siteB, secret: form.secret === "" ? null : form.secret, imported };
}

/** An edit checked, and the row that it was checked against. */
export interface CheckedEdit extends CheckedLink {
  readonly before: LinkConfig;
  readonly link: { readonly id: string; readonly version: number; readonly siteAId: string; readonly siteBId: string | null };
}

/** As `checkLinkForm` for a link that is there. Throws NotFound, and Conflict when somebody else has saved it meanwhile. */
export async function checkLinkEdit(tx: Transaction, linkId: string, input: unknown): Promise<CheckedEdit> {
  const form = parseInput(linkEdit, input);
  const link = await tx.link.findUnique({ where: { id: linkId }, include: { siteA: true, siteB: true } });
  if (link === null) throw new NotFound("There is no such link.");
  if (link.version !== form.version)
    throw new Conflict(`Version ${link.version} of this link was saved while you were editing version ${form.version}. Reload to see what it changed.`);
  const before = linkConfig.parse(link.config);
  const config = parseConfig({
    ...before,
    name: form.name,
    peer: before.peer.kind === "third-party" && form.peer !== null ? form.peer : before.peer,
    networksA: form.networksA,
    networksB: form.networksB,
    preset: presetOf(form),
    bringUp: form.bringUp ?? before.bringUp,
    revocation: form.revocation ?? before.revocation,
    encapsulation: form.encapsulation ?? before.encapsulation,
    mode: form.mode ?? before.mode,
    inactivitySeconds: form.inactivitySeconds ?? before.inactivitySeconds,
    ah: form.ah === undefined ? before.ah : form.ah,
    ike: { ...before.ike, ...ikeOf(form) },
    esp: { ...before.esp, ...espOf(form) },
  });
  await checkLinkConfig(tx, config, linkId);
  return { config, siteA: link.siteA, siteB: link.siteB, secret: null, imported: null, before, link };
}

type FormSettings = z.infer<z.ZodObject<typeof settings>>;

/** Only what the form has: the rest is the link's own, or the default of a new one. */
function ikeOf(form: FormSettings) {
  return {
    proposals: form.ikeProposals,
    rekeySeconds: form.ikeRekeySeconds,
    livenessSeconds: form.livenessSeconds,
    ...(form.livenessAction === undefined ? {} : { livenessAction: form.livenessAction }),
    ...(form.childless === undefined ? {} : { childless: form.childless }),
  };
}

function espOf(form: FormSettings) {
  return {
    proposals: form.espProposals,
    rekeySeconds: form.espRekeySeconds,
    ...(form.replayWindowPackets === undefined ? {} : { replayWindowPackets: form.replayWindowPackets }),
  };
}

/** What holds for a new link and for one that is changed: an unused name, and networks that leave no doubt where a packet goes. */
export async function checkLinkConfig(tx: Transaction, config: LinkConfig, ownId: string | null): Promise<void> {
  const sameName = await tx.link.findUnique({ where: { name: config.name } });
  if (sameName !== null && sameName.id !== ownId) throw new Invalid({ name: "There is a link of this name already." });
  const own = config.networksA.map(known);
  const other = config.networksB.map(known);
  for (const a of own)
    for (const b of other)
      if (overlap(a, b)) throw new Invalid({ networksB: `${b.text} overlaps ${a.text} at the first site. A tunnel can only join networks that are apart.` });
  checkApart(own, "networksA");
  checkApart(other, "networksB");
  await checkOtherLinks(tx, config, ownId, own, other);
  await checkPlanes(tx, config);
}

/** Transport mode is the kernel's: no route leads what two gateways say to each other into a TUN device (docs/adr/0002). */
async function checkPlanes(tx: Transaction, { mode, enabled, siteAId, peer }: LinkConfig): Promise<void> {
  if (mode === "tunnel" || !enabled) return;
  const siteIds = [siteAId, ...(peer.kind === "site" ? [peer.siteId] : [])];
  // One that has never connected is asked when it does: it refuses the link by the same reason.
  const without = await tx.gateway.findFirst({
    where: { siteId: { in: siteIds }, plane: { not: null }, NOT: { plane: "kernel" } },
    include: { site: { select: { name: true } } },
  });
  if (without === null) return;
  const why = without.planeReason === null || without.planeReason === "" ? "" : ` (${without.planeReason})`;
  throw new Invalid({
    mode: `Transport mode needs a gateway whose kernel has ESP. That of ${without.site.name} protects packets by itself${why}: choose tunnel mode.`,
  });
}

function checkApart(networks: readonly Prefix[], field: string): void {
  networks.forEach((network, index) => {
    const twin = networks.slice(0, index).find((earlier) => overlap(earlier, network));
    if (twin !== undefined) throw new Invalid({ [field]: `${network.text} overlaps ${twin.text} in the same list.` });
  });
}

/** At one gateway two links must not lead to overlapping far networks: it could not tell which tunnel a packet belongs to. */
async function checkOtherLinks(tx: Transaction, config: LinkConfig, ownId: string | null, own: readonly Prefix[], other: readonly Prefix[]): Promise<void> {
  const siteIds = [config.siteAId, ...(config.peer.kind === "site" ? [config.peer.siteId] : [])];
  const links = await tx.link.findMany({
    where: { OR: [{ siteAId: { in: siteIds } }, { siteBId: { in: siteIds } }], ...(ownId === null ? {} : { id: { not: ownId } }) },
  });
  for (const row of links) {
    const theirs = linkConfig.parse(row.config);
    for (const siteId of siteIds) {
      const ourFar = siteId === config.siteAId ? other : own;
      const theirFar = row.siteAId === siteId ? theirs.networksB : row.siteBId === siteId ? theirs.networksA : [];
      for (const near of ourFar) {
        const clash = theirFar.map(known).find((far) => overlap(near, far));
        if (clash !== undefined) {
          throw new Invalid({
            [siteId === config.siteAId ? "networksB" : "networksA"]:
              `${near.text} overlaps ${clash.text}, which the link “${row.name}” already leads to from the same gateway.`,
          });
        }
      }
    }
  }
}

/** Parsed before: a stored or checked config has only canonical prefixes. */
function known(text: string): Prefix {
  const parsed = parsePrefix(text);
  if ("error" in parsed) throw new Invalid({ networksA: parsed.error });
  return parsed;
}

const formNames: Readonly<Record<string, string>> = {
  "ike.proposals": "ikeProposals",
  "esp.proposals": "espProposals",
  "ike.rekeySeconds": "ikeRekeySeconds",
  "esp.rekeySeconds": "espRekeySeconds",
  "ike.livenessSeconds": "livenessSeconds",
  "esp.replayWindowPackets": "replayWindowPackets",
  "ah.proposals": "ahProposals",
  "peer.name": "peerName",
  "peer.address": "peerAddress",
  "peer.identity": "peerIdentity",
  "peer.siteId": "siteBId",
};

/** Errors come out under the wizard's field names, not under the config's paths. */
function parseConfig(input: unknown): LinkConfig {
  const parsed = linkConfig.safeParse(input);
  if (parsed.success) {
    const { peer, ah, networksA, networksB } = parsed.data;
    const problem = peer.kind === "third-party" ? peerAddressProblem(peer.address) : null;
    if (problem !== null) throw new Invalid({ peerAddress: problem });
    const choices: Readonly<Record<string, string>> = choiceProblems({ ...parsed.data, isAh: ah !== null, networks: [...networksA, ...networksB] });
    if (Object.keys(choices).length > 0) throw new Invalid(choices);
    return parsed.data;
  }
  const fields: Record<string, string> = {};
  for (const issue of parsed.error.issues) {
    const path = issue.path.filter((part) => typeof part === "string").join(".");
    fields[formNames[path] ?? path] ??= issue.message;
  }
  throw new Invalid(fields);
}
