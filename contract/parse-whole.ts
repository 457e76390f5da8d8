import { deepStrictEqual } from "node:assert/strict";
import type { ZodType } from "zod";

/**
 * For tests: parses what one of ours has said, which must be all of the contract and nothing beside: a console leaves out what it does not know, so that a field that
 * the contract lacks would be missed by nobody. @throws Error that shows what is too much.
 */
export function parseWhole<Value>(schema: ZodType<Value>, said: unknown): Value {
  const parsed = schema.parse(said);
  deepStrictEqual(said, parsed);
  return parsed;
}
