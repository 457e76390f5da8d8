import { z } from "zod";
import { defaultAhProposals } from "../../../../contract/proposals.ts";
import { linkConfig } from "../../../../server/links/link-config.ts";
import { choiceProblems } from "../../../../server/links/link-rules.ts";
import { peerAddressProblem } from "../../../../server/links/peer-address.ts";

/**
 * What the wizard holds while it is filled in. Networks are one text each, as typed; the server's schema parses and refuses them
 * for good, this one only says at the field what cannot be right.
 */
export const wizardForm = z
  .object({
    name: z.string().trim().min(1, "Give the link a name.").max(80, "At most 80 characters."),
    siteAId: z.string().min(1, "Choose a site."),
    peerKind: z.enum(["site", "third-party"]),
    siteBId: z.string(),
    peerName: z.string().trim().max(80),
    peerAddress: z.string().trim().max(253),
    peerIdentity: z.string().trim().max(255),
    networksA: z.string(),
    networksB: z.string(),
    preset: z.string().min(1),
    method: z.enum(["psk", "certificate"]),
    /** Only for a third-party peer that already has a key; empty: one is generated. */
    secret: z.string().max(512),
    /** An imported certificate, only for a third-party peer that is shown one; and PEM of the authorities that the peer's comes from. */
    certificateId: z.string(),
    peerAuthorities: z.string().max(65_536, "At most 64 kB."),
    ikeProposals: z.string(),
    espProposals: z.string(),
    ikeRekeySeconds: z.number({ error: "A number of seconds." }).int().min(60, "At least 60 s.").max(31_536_000),
    espRekeySeconds: z.number({ error: "A number of seconds." }).int().min(60, "At least 60 s.").max(31_536_000),
    livenessSeconds: z.number({ error: "A number of seconds." }).int().min(0).max(3_600),
    livenessAction: linkConfig.shape.ike.shape.livenessAction.unwrap(),
    bringUp: linkConfig.shape.bringUp.unwrap(),
    childless: linkConfig.shape.ike.shape.childless.unwrap(),
    revocation: linkConfig.shape.revocation.unwrap(),
    replayWindowPackets: z.number({ error: "A number of packets." }).int().pipe(linkConfig.shape.esp.shape.replayWindowPackets),
    encapsulation: linkConfig.shape.encapsulation.unwrap(),
    protocol: z.enum(["esp", "ah"]),
    ahProposals: z.string(),
    mode: linkConfig.shape.mode.unwrap(),
    inactivitySeconds: z.number({ error: "A number of seconds." }).int().pipe(linkConfig.shape.inactivitySeconds.unwrap()),
  })
  .check((context) => {
    const form = context.value;
    const refuse = (path: string, message: string) => context.issues.push({ code: "custom", input: form, path: [path], message });
    if (form.peerKind === "site") {
      if (form.siteBId === "") refuse("siteBId", "Choose a site.");
      else if (form.siteBId === form.siteAId) refuse("siteBId", "A link needs two different sites.");
    } else {
      if (form.peerName === "") refuse("peerName", "Give the peer a name.");
      const problem = peerAddressProblem(form.peerAddress);
      if (problem !== null) refuse("peerAddress", problem);
      if (form.peerIdentity === "") refuse("peerIdentity", "The identity that the peer sends, often its address.");
    }
    for (const [path, text] of [
      ["networksA", form.networksA],
      ["networksB", form.networksB],
    ] as const) {
      const problem = networksProblem(text);
      if (problem) refuse(path, problem);
    }
    if (splitList(form.ikeProposals).length === 0) refuse("ikeProposals", "At least one proposal.");
    if (splitList(form.espProposals).length === 0) refuse("espProposals", "At least one proposal.");
    if (form.protocol === "ah" && splitList(form.ahProposals).length === 0) refuse("ahProposals", "At least one proposal.");
    const networks = [...splitList(form.networksA), ...splitList(form.networksB)];
    for (const [path, message] of Object.entries(choiceProblems({ ...form, isAh: form.protocol === "ah", networks }))) refuse(path, message);
  });

export type WizardForm = z.infer<typeof wizardForm>;

/** The Advanced choices of a link that has not made any. */
export const usualChoices = {
  livenessSeconds: 10,
  livenessAction: "restart",
  bringUp: "atOnce",
  childless: false,
  revocation: "soft",
  replayWindowPackets: 1_024,
  encapsulation: "auto",
  protocol: "esp",
  ahProposals: defaultAhProposals.join("\n"),
  mode: "tunnel",
  inactivitySeconds: 0,
} as const satisfies Partial<WizardForm>;

/** Whether each of these ESP or AH proposals offers extended sequence numbers. */
export function offersEsn(proposals: string): boolean {
  const list = splitList(proposals);
  return list.length > 0 && list.every((proposal) => proposal.split("-").includes("esn"));
}

/** The same proposals with extended sequence numbers offered before plain ones, or without them. */
export function withEsn(proposals: string, isOffered: boolean): string {
  const bare = splitList(proposals).map((proposal) => proposal.split("-").filter((word) => word !== "esn" && word !== "noesn"));
  return bare.map((words) => [...words, ...(isOffered ? ["esn", "noesn"] : [])].join("-")).join("\n");
}

/** Items separated by commas, spaces or lines. */
export function splitList(text: string): string[] {
  return text.split(/[\s,]+/).filter((part) => part !== "");
}

const cidr = z.union([z.cidrv4(), z.cidrv6()]);

/** The first thing wrong with a list of networks, as a sentence; null when each can be parsed. */
export function networksProblem(text: string): string | null {
  const parts = splitList(text);
  if (parts.length === 0) return "At least one network, such as 10.1.0.0/24.";
  const malformed = parts.find((part) => !cidr.safeParse(part).success);
  if (malformed !== undefined) return `“${malformed}” is not a network. Write an address and a prefix length, such as 10.1.0.0/24.`;
  return null;
}
