import { z } from "zod";
import { command } from "../../contract/hub-protocol.ts";

/**
 * What the command line says to the running agent: one JSON object a line on a Unix socket of mode 0600, one answer a line.
 * The file's permissions are the authentication.
 */
export const controlRequest = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("status") }),
  z.strictObject({ kind: z.literal("command"), command }),
  z.strictObject({ kind: z.literal("reload") }),
]);

export type ControlRequest = z.infer<typeof controlRequest>;

/** `value` is an `ObservedState` for `status`, a `CommandResult` for a command, the problems' lines for `reload`. */
export interface ControlAnswer {
  readonly ok: boolean;
  readonly message: string;
  readonly value: unknown;
}

export const controlAnswer: z.ZodType<ControlAnswer> = z.object({ ok: z.boolean(), message: z.string(), value: z.unknown() });

/** Linux's sun_path holds 108 octets with the final zero. */
export const longestSocketPath = 107;
