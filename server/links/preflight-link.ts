import { type ConsoleDraft, type PreflightResult, preflightDrafts } from "../../agent/preflight/console-preflight.ts";
import type { Authentication } from "../../contract/desired-state.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database, type Transaction } from "../db/client.ts";
import { ensureAuthority } from "../keys/authority.ts";
import { issueFor, newPreSharedKey } from "../keys/credentials.ts";
import { desiredLink } from "../publishing/desired-link.ts";
import { RateBound } from "../rate-bound.ts";
import { type CheckedLink, checkLinkEdit, checkLinkForm } from "./link-form.ts";

/** Each is up to a second of CPU in the console's only thread. */
const bound = new RateBound({ most: 60, milliseconds: 60_000 });

/** What a link would come to if it were saved now. */
export interface LinkPreflight {
  readonly outcome: "agreed" | "refused";
  /** One sentence that names both ends: what they would agree on, or why they would not and what to change. */
  readonly sentence: string;
  /** The protocol's name for the reason; null when agreed. */
  readonly code: string | null;
  /** What would be agreed, part by part; empty when refused. */
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  readonly remarks: readonly string[];
  /** What had to be taken for granted: how a third-party peer is set up is not known here. */
  readonly assumption: string | null;
}

/**
 * Runs both ends' real negotiators in memory on a form that passed the checks of saving. Saves nothing and sends nothing; keys and
 * certificates are made for this alone. Throws Invalid as saving would, TooMany after 60 in a minute.
 */
export async function preflightLink(actor: Actor, input: unknown): Promise<LinkPreflight> {
  authorize(actor, "edit");
  bound.take(actor.userId, Date.now());
  return preflightOf((tx) => checkLinkForm(tx, input));
}

/** As `preflightLink` for a link that is there, as its form would leave it. Throws as `editLink` would. */
export async function preflightEdit(actor: Actor, linkId: string, input: unknown): Promise<LinkPreflight> {
  authorize(actor, "edit");
  bound.take(actor.userId, Date.now());
  return preflightOf((tx) => checkLinkEdit(tx, linkId, input));
}

async function preflightOf(check: (tx: Transaction) => Promise<CheckedLink>): Promise<LinkPreflight> {
  const { checked, drafts } = await database().$transaction(async (tx) => {
    const form = await check(tx);
    return { checked: form, drafts: await draftsOf(tx, form) };
  });
  const peer = checked.config.peer.kind === "third-party" ? checked.config.peer.name : null;
  return {
    ...viewOf(preflightDrafts(drafts[0], drafts[1]), checked.config.method),
    assumption: peer === null ? null : assumptionOf(peer, checked.config.method),
  };
}

function assumptionOf(peer: string, method: "psk" | "certificate"): string {
  const proof = method === "psk" ? "to know the key" : "to accept our certificate and to show one of the authorities given";
  return `${peer} is taken to offer the same proposals and networks, and ${proof}.`;
}

async function draftsOf(tx: Transaction, checked: CheckedLink): Promise<readonly [ConsoleDraft, ConsoleDraft]> {
  const { config, siteA, siteB } = checked;
  const authentications = await authenticationsOf(tx, checked);
  const draft = async (end: "A" | "B", site: { readonly id: string; readonly name: string } | null): Promise<ConsoleDraft> => {
    const gateway = site === null ? null : await tx.gateway.findFirst({ where: { siteId: site.id }, select: { ikePort: true, natPort: true } });
    const name = site?.name ?? (config.peer.kind === "third-party" ? config.peer.name : "the peer");
    const link = desiredLink({
      linkId: "draft",
      // What is being reviewed is whether the tunnel would come up; it is saved enabled.
      config: { ...config, enabled: true },
      end,
      addressA: siteA.address,
      addressB: siteB?.address ?? null,
      authentication: authentications[end],
    });
    return { site: name, state: { schema: 1, revision: 0, gateway: { name, ...(gateway ?? {}) }, links: [link] } };
  };
  return [await draft("A", siteA), await draft("B", siteB)];
}

/** One key for both, or a certificate for each of the console's authority: as saving would make them, kept by nobody. */
async function authenticationsOf(tx: Transaction, { config, secret }: CheckedLink): Promise<Readonly<Record<"A" | "B", Authentication>>> {
  const id = "new";
  // Which certificate a third-party peer has is not known here: the rest is tried with a key in its place.
  if (config.method === "psk" || config.peer.kind === "third-party") {
    const both: Authentication = { method: "psk", keys: [{ id, secret: secret ?? newPreSharedKey() }], use: id };
    return { A: both, B: both };
  }
  const authority = await ensureAuthority(tx, "ipsec");
  const issue = async (identity: string): Promise<Authentication> => {
    const { issued, privateKeyPem } = await issueFor(tx, authority, identity);
    return {
      method: "certificate",
      certificates: [{ id, chain: issued.certificatePem, privateKey: privateKeyPem }],
      use: id,
      trustedAuthorities: [authority.certificatePem],
    };
  };
  return { A: await issue(config.identityA), B: await issue(config.peer.identity) };
}

function viewOf(result: PreflightResult, method: "psk" | "certificate"): Omit<LinkPreflight, "assumption"> {
  if (result.outcome === "refused") return { outcome: "refused", sentence: result.sentence, code: result.code, facts: [], remarks: [] };
  const { agreement, remarks } = result;
  const [first, second] = agreement.ends;
  const facts = [
    { label: "Begins", value: agreement.initiator },
    { label: "IKE", value: agreement.ikeSuite },
    { label: "Authentication", value: method === "certificate" ? "Certificates" : "Pre-shared key" },
    ...agreement.ends.map((end) => ({ label: `Identity of ${end.site}`, value: end.identity })),
    { label: "Encapsulation", value: agreement.encapsulation },
    ...agreement.children.flatMap((child) => [
      { label: `Networks (${child.name})`, value: child.networks.join(" ⇄ ") },
      {
        label: `${child.protocol}${child.mode === "transport" ? " in transport mode" : ""} (${child.name})`,
        value: child.rekeySuite === child.suite ? child.suite : `${child.suite}, rekeyed as ${child.rekeySuite}`,
      },
    ]),
  ];
  const protectedBy = agreement.children.map(({ networks, protocol, mode }) => {
    const unusual = `${protocol === "AH" ? " with AH" : ""}${mode === "transport" ? " in transport mode" : ""}`;
    return `${networks.join(" ⇄ ")}${unusual}`;
  });
  const sentence = `${first?.site} and ${second?.site} would agree on ${agreement.ikeSuite} and protect ${protectedBy.join("; ")}.`;
  return { outcome: "agreed", sentence, code: null, facts, remarks };
}
