import type { ChildProcess } from "node:child_process";

/*
 * What the demo and its field say to each other. The field is the process that has the namespaces, the two gateways and the
 * counter in the middle; without root it runs in a user namespace of its own, which the database and the console do not need.
 */

export interface GatewayOrder {
  readonly token: string;
  readonly stateDirectory: string;
}

export type FieldRequest =
  | { readonly kind: "enrol"; readonly hubUrl: string; readonly hubSocket: string; readonly left: GatewayOrder; readonly right: GatewayOrder }
  | { readonly kind: "until-up"; readonly timeoutSeconds: number }
  | { readonly kind: "measure"; readonly echoes: number; readonly streamSeconds: number }
  | { readonly kind: "stop" };

/** What the tunnel is once both ends say it is up. */
export interface TunnelFacts {
  /** The Child SA's two SPIs, eight hexadecimal digits each, left's inbound first. */
  readonly spis: readonly [string, string];
  readonly suite: string;
}

export interface Measurement {
  readonly packetsSent: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  /** The slower of the two directions of a TCP stream. */
  readonly mbitPerSecond: number;
  readonly packetsNeitherIkeNorEsp: number;
  /** IKE and ESP packets seen in the middle: proof that the count next to it looked at the right place. */
  readonly packetsIkeOrEsp: number;
}

export interface FieldAnswers {
  readonly enrol: null;
  readonly "until-up": TunnelFacts;
  readonly measure: Measurement;
  readonly stop: null;
}

export type FieldReply =
  | { readonly kind: "ready" }
  | { readonly kind: "answer"; readonly value: unknown }
  | { readonly kind: "failed"; readonly sentence: string };

/** Sends one request and resolves to its answer; rejects with the field's sentence. One request at a time. */
export function askField<Kind extends FieldRequest["kind"]>(field: ChildProcess, request: Extract<FieldRequest, { kind: Kind }>): Promise<FieldAnswers[Kind]> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error("the gateways' process ended"));
    field.once("exit", onExit);
    const onMessage = (message: FieldReply) => {
      // The greeting of a field that is stopped before it was asked anything.
      if (message.kind === "ready") return;
      field.off("exit", onExit);
      field.off("message", onMessage);
      if (message.kind === "answer") resolve(message.value as FieldAnswers[Kind]);
      else reject(new Error(message.sentence));
    };
    field.on("message", onMessage);
    field.send(request);
  });
}
