import { readFileSync } from "node:fs";
import { z } from "zod";

/** Inner packets of the known-answer vectors, and one of each family that has everything a packet can have. */
export function espVectorPackets(): Uint8Array[] {
  const vectors = JSON.parse(readFileSync(new URL("../vectors/esp-ah.json", import.meta.url), "utf8")) as unknown;
  const texts = new Set<string>();
  collect(vectors, texts);
  return [...texts].slice(0, 12).map((hex) => Uint8Array.from(Buffer.from(hex, "hex")));
}

const packet = z.string().regex(/^(?:45|60)[0-9a-f]{38,}$/);

function collect(value: unknown, into: Set<string>): void {
  const text = packet.safeParse(value);
  if (text.success) into.add(text.data);
  else if (typeof value === "object" && value !== null) for (const inner of Object.values(value)) collect(inner, into);
}
