import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";

/** Inputs that once reached new code, or broke something, for each target: base64, one a line. */
const file = (target: string): URL => new URL(`./corpus/${target}.json`, import.meta.url);
const inputs = z.array(z.base64());

export function loadCorpus(target: string): Uint8Array[] {
  if (!existsSync(file(target))) return [];
  return inputs.parse(JSON.parse(readFileSync(file(target), "utf8"))).map((text) => Uint8Array.from(Buffer.from(text, "base64")));
}

export function saveCorpus(target: string, corpus: readonly Uint8Array[]): void {
  writeFileSync(
    file(target),
    `${JSON.stringify(
      corpus.map((input) => Buffer.from(input).toString("base64")),
      null,
      1,
    )}\n`,
  );
}
