import { parsePrefix } from "./prefix.ts";

/** What of a link's choices bears on each other. Networks as typed. */
export interface Choices {
  readonly isAh: boolean;
  readonly encapsulation: "auto" | "udp" | "plain";
  readonly mode: "tunnel" | "transport" | "preferTransport";
  readonly bringUp: "atOnce" | "onDemand";
  readonly inactivitySeconds: number;
  readonly networks: readonly string[];
}

export type ChoiceField = "encapsulation" | "mode" | "inactivitySeconds";

/** Why choices of a link do not go together, one sentence at the field where it is put right. Pure: the form and the server ask the same. */
export function choiceProblems(choices: Choices): Partial<Record<ChoiceField, string>> {
  const network = choices.networks.find((text) => !isHost(text));
  return {
    ...(choices.isAh && choices.encapsulation === "udp"
      ? { encapsulation: "AH does not go in UDP. Choose “Where it is faster”, or protect packets with ESP." }
      : {}),
    ...(choices.inactivitySeconds > 0 && choices.bringUp === "atOnce"
      ? { inactivitySeconds: "A link that is kept up closes nothing. Bring it up on demand, or write 0." }
      : {}),
    // RFC 4301 §4.1: transport mode is between two hosts.
    ...(choices.mode !== "tunnel" && network !== undefined
      ? {
          mode: `${network} is a network, and transport mode carries only what the two gateways say to each other. Write their own addresses as the networks, such as 192.0.2.1/32, or choose tunnel mode.`,
        }
      : {}),
  };
}

/** What cannot be read is told at its own field. */
function isHost(text: string): boolean {
  const prefix = parsePrefix(text);
  return "error" in prefix || prefix.length === (prefix.family === 4 ? 32 : 128);
}
