import type { z } from "zod";
import { Invalid } from "./errors.ts";

/** Parses untrusted input; throws Invalid with one sentence a field. */
export function parseInput<S extends z.ZodType>(schema: S, input: unknown): z.output<S> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const fields: Record<string, string> = {};
  for (const issue of parsed.error.issues) fields[issue.path.join(".")] ??= issue.message;
  throw new Invalid(fields);
}
