import { expect, it } from "vitest";
import { loadCorpus } from "./corpus.ts";
import { attempt } from "./search.ts";
import { targets } from "./targets.ts";

it.each(targets.map((target) => [target.name, target] as const))(
  "%s takes or refuses every input that ever reached new code, and its seeds",
  (name, target) => {
    const inputs = [...target.seeds(), ...loadCorpus(name)];
    expect(inputs.length).toBeGreaterThan(0);
    for (const input of inputs) expect(attempt(target, input)?.stack, Buffer.from(input).toString("base64")).toBeUndefined();
  },
);
