import type { z } from "zod";

/** Where in the configuration: `["links", 0, "children", 1, "remoteNetworks", 0]`. */
export type ConfigPath = readonly (string | number)[];

/** One thing that is wrong: what, and what to do about it. A warning does not keep the configuration from being used. */
export interface ConfigProblem {
  readonly path: ConfigPath;
  readonly severity: "error" | "warning";
  readonly reason: string;
  readonly advice: string;
}

/** `links[0].children[1].remoteNetworks[0]`; a key that does not look like one is quoted, so that each problem stays on its line. */
export function formatPath(path: ConfigPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text === "" ? "(top level)" : text;
}

export function errorAt(path: ConfigPath, reason: string, advice: string): ConfigProblem {
  return { path, severity: "error", reason, advice };
}

export function warningAt(path: ConfigPath, reason: string, advice: string): ConfigProblem {
  return { path, severity: "warning", reason, advice };
}

/** The schema's complaints in plain words. An unknown key is named by its own path, so that its line can be found. */
export function fromZodError(error: z.ZodError): ConfigProblem[] {
  return error.issues.flatMap((issue) =>
    fromIssue(
      issue,
      issue.path.filter((step) => typeof step !== "symbol"),
    ),
  );
}

function fromIssue(issue: z.core.$ZodIssue, path: ConfigPath): ConfigProblem[] {
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) =>
        errorAt([...path, key], `unknown key ${JSON.stringify(key)}`, "remove it or correct its spelling (culvert-agent schema lists every key)"),
      );
    case "invalid_type":
      return [
        issue.input === undefined
          ? errorAt(path, `"${path.at(-1) ?? "configuration"}" is missing`, `add it (${article(issue.expected)})`)
          : errorAt(path, `expected ${article(issue.expected)}, found ${article(kindOf(issue.input))}`, adviceFor(issue.expected, issue.input)),
      ];
    case "invalid_value":
      return [errorAt(path, "the value is none of those allowed", `use one of: ${issue.values.map(String).join(", ")}`)];
    case "invalid_union":
      return [fromUnion(issue, path)];
    case "too_small":
      return [errorAt(path, `the ${measure(issue.origin)} is below the minimum of ${issue.minimum}`, `use at least ${issue.minimum}`)];
    case "too_big":
      return [errorAt(path, `the ${measure(issue.origin)} is above the maximum of ${issue.maximum}`, `use at most ${issue.maximum}`)];
    case "invalid_format":
      return [errorAt(path, "the value does not have the expected form", formatAdvice(issue))];
    default:
      return [errorAt(path, issue.message, "correct the value")];
  }
}

/** YAML reads an unquoted 0xabcd or 2026 as a number. */
function adviceFor(expected: string, input: unknown): string {
  return expected === "string" && (typeof input === "number" || typeof input === "boolean") ? "put the value in quotes" : "correct the value";
}

/** A union fails on every branch; what they had in common is what the author needs, else what the nearest branch lacks. */
function fromUnion(issue: z.core.$ZodIssueInvalidUnion, path: ConfigPath): ConfigProblem {
  if (issue.discriminator !== undefined) {
    return errorAt(
      path.at(-1) === issue.discriminator ? path : [...path, issue.discriminator],
      `"${issue.discriminator}" is missing or none of those allowed`,
      'use "psk" or "certificate"',
    );
  }
  const formats = issue.errors.flat().flatMap((branch) => (branch.code === "invalid_format" ? [branch.format] : []));
  if (formats.some((format) => format.startsWith("cidr"))) {
    return errorAt(path, "this is not a network", "write a prefix such as 10.1.0.0/24 or 2001:db8::/32");
  }
  if (formats.some((format) => format.startsWith("ipv"))) {
    return errorAt(path, "this is not an IP address", "write an address such as 192.0.2.1 or 2001:db8::1");
  }
  const nested = issue.errors.toSorted((a, b) => a.length - b.length)[0]?.[0];
  if (nested !== undefined) return fromIssue(nested, [...path, ...nested.path.filter((step) => typeof step !== "symbol")])[0]!;
  return errorAt(path, "the value has none of the forms allowed", "see culvert-agent schema");
}

function formatAdvice(issue: z.core.$ZodIssueInvalidStringFormat): string {
  return issue.pattern === undefined ? "correct the value" : `it must match ${issue.pattern}`;
}

function measure(origin: string): string {
  if (origin === "array") return "number of entries";
  return origin === "string" ? "length" : "value";
}

function article(kind: string): string {
  return /^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}

function kindOf(value: unknown): string {
  if (value === null) return "null (empty value)";
  return Array.isArray(value) ? "array" : typeof value;
}
