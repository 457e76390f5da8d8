import { defaultEspProposals, defaultIkeProposals } from "../../contract/proposals.ts";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OpenSsl } from "../testing/openssl.ts";
import { readConfigFile } from "./config-file.ts";
import { configJsonSchema } from "./config-schema.ts";
import { exampleYaml } from "./test-doubles.ts";
import { agentVersion } from "./version.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cvrt-config-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function problemsOf(text: string): readonly string[] {
  const path = join(directory, "site.yaml");
  writeFileSync(path, text);
  const result = readConfigFile(path);
  return result.ok ? [] : result.lines;
}

const secondLink = (changes: (text: string) => string): string => exampleYaml + changes(exampleYaml.slice(exampleYaml.indexOf("  - id: berlin")));

/** Nine levels of ten: a thousand million values. */
const manyAliases = ["l0: &l0 [x]", ...Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1}\n  [${Array(10).fill(`*l${i}`).join(", ")}]`)].join("\n");

describe("a long file in JSON", () => {
  const one = parse(exampleYaml) as { links: { id: string; children: { remoteNetworks: string[] }[] }[] };
  const links = Array.from({ length: 1_000 }, (_, i) => {
    const link = structuredClone(one.links[0]!);
    link.id = `link-${i}`;
    link.children = [{ ...link.children[0]!, remoteNetworks: [`10.${100 + (i >> 8)}.${i & 255}.0/24`] }];
    return link;
  });

  test("is read as the same file in YAML is", () => {
    const [json, yaml] = [join(directory, "site.json"), join(directory, "long.yaml")];
    writeFileSync(json, JSON.stringify({ ...one, links }));
    writeFileSync(yaml, stringify({ ...one, links }));
    const result = readConfigFile(json);
    expect(result).toMatchObject({ ok: true });
    expect(result).toEqual(readConfigFile(yaml));
  });

  test("has its problems told with their line", () => {
    const path = join(directory, "site.json");
    links[700]!.children[0]!.remoteNetworks = ["10.2.0.0"];
    writeFileSync(path, JSON.stringify({ ...one, links }, null, 1));
    const result = readConfigFile(path);
    const line =
      JSON.stringify({ ...one, links }, null, 1)
        .split("\n")
        .findIndex((text) => text.includes('"10.2.0.0"')) + 1;
    expect(result.ok ? [] : result.lines).toEqual([expect.stringContaining(`site.json:${line}: links[700].children[0].remoteNetworks[0]: `)]);
  });
});

describe("certificates in a PKCS #12 file", () => {
  const openssl = new OpenSsl();
  afterAll(() => openssl.remove());
  const byContainer = (certificate: Record<string, unknown>): string => {
    const one = parse(exampleYaml) as { links: Record<string, unknown>[] };
    const authority = Buffer.from(openssl.read("own.pem")).toString("latin1");
    one.links[0]!.authentication = { method: "certificate", certificates: [certificate], use: "own", trustedAuthorities: [authority] };
    return stringify(one);
  };

  beforeAll(() => {
    openssl.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "own.key", "-subj", "/CN=own", "-out", "own.pem");
    openssl.run("pkcs12", "-export", "-inkey", "own.key", "-in", "own.pem", "-passout", "pass:opensesame", "-out", "own.p12");
    writeFileSync(join(directory, "own.p12"), openssl.read("own.p12"), { mode: 0o600 });
    writeFileSync(join(directory, "own.password"), "opensesame\n", { mode: 0o600 });
  });

  test("are taken with their key, and the password is left behind", () => {
    const path = join(directory, "site.yaml");
    writeFileSync(path, byContainer({ id: "own", pkcs12: { file: "own.p12" }, password: { file: "own.password" } }));
    const result = readConfigFile(path);
    if (!result.ok) throw new Error(result.lines.join("\n"));
    const chain = Buffer.from(openssl.read("own.pem")).toString("latin1");
    const { authentication } = result.state.links[0]!;
    expect(authentication).toMatchObject({ certificates: [{ id: "own", chain, privateKey: expect.stringMatching(/^-----BEGIN PRIVATE KEY-----/) }] });
    expect(JSON.stringify(result.state)).not.toContain("opensesame");
  });

  test.each([
    ["another password", { id: "own", pkcs12: { file: "own.p12" }, password: "sesame" }, /pkcs12\.file: own\.p12: The password does not open the file — Give/],
    ["no password", { id: "own", pkcs12: { file: "own.p12" } }, /pkcs12\.file: own\.p12: The file is locked with a password — Give/],
    ["no such file", { id: "own", pkcs12: { file: "gone.p12" } }, /pkcs12\.file: gone\.p12 cannot be read: there is no such file — check/],
    ["a misspelt key", { id: "own", pkcs12: { file: "own.p12" }, pasword: "opensesame" }, /unknown key "pasword"/],
  ])("are refused where they stand: %s", (_, certificate, line) => {
    const problems = problemsOf(byContainer(certificate));
    expect(problems).toEqual([expect.stringMatching(line)]);
    expect(problems.join()).not.toMatch(/"sesame"|opensesame/);
  });
});

describe("a bad configuration", () => {
  // what is changed in the good one · line and field · reason
  const cases: readonly [name: string, text: string, place: string, reason: RegExp][] = [
    ["an unknown key", exampleYaml.replace("name: amsterdam", "nmae: amsterdam"), "site.yaml:4: gateway.nmae", /unknown key "nmae" — remove it/],
    ["a missing key", exampleYaml.replace("    name: Amsterdam to Berlin\n", ""), "site.yaml:6: links[0].name", /"name" is missing/],
    ["a wrong type", exampleYaml.replace("revision: 7", "revision: seven"), "site.yaml:2: revision", /expected a number, found a string/],
    ["an unknown choice", exampleYaml.replace("    local:", "    initiate: maybe\n    local:"), "site.yaml:8: links[0].initiate", /use one of: start, respond/],
    ["a number out of range", exampleYaml.replace("gateway:\n", "gateway:\n  tunMtu: 100\n"), "site.yaml:4: gateway.tunMtu", /.+/],
    [
      "no network",
      exampleYaml.replace("10.2.0.0/24", "10.2.0.0"),
      "site.yaml:20: links[0].children[0].remoteNetworks[0]",
      /not a network — write a prefix such as/,
    ],
    [
      "host bits",
      exampleYaml.replace("10.2.0.0/24", "10.2.0.1/24"),
      "site.yaml:20: links[0].children[0].remoteNetworks[0]",
      /host bits set — write 10\.2\.0\.0\/24/,
    ],
    [
      "the same network on both sides",
      exampleYaml.replace("10.2.0.0/24", "10.1.0.0/24"),
      "site.yaml:20: links[0].children[0].remoteNetworks[0]",
      /lies in the local network/,
    ],
    ["an unknown algorithm", exampleYaml.replace("proposals: [aes256gcm16]", "proposals: [aes999]"), "site.yaml:16: links[0].esp.proposals[0]", /aes999/],
    [
      "a key that is not there",
      exampleYaml.replace("use: k1", "use: k2"),
      "site.yaml:14: links[0].authentication.use",
      /"k2" names none of the keys — use one of: k1/,
    ],
    [
      "a bad hexadecimal secret",
      exampleYaml.replace("correct-horse-battery", '"0xabc"'),
      "site.yaml:13: links[0].authentication.keys[0].secret",
      /hexadecimal/,
    ],
    [
      "a number where text belongs",
      exampleYaml.replace("correct-horse-battery", "0xabcd"),
      "site.yaml:13: links[0].authentication.keys[0].secret",
      /found a number — put the value in quotes/,
    ],
    [
      "an unreadable secret file",
      exampleYaml.replace("correct-horse-battery", "{ file: nowhere.psk }"),
      "site.yaml:13: links[0].authentication.keys[0].secret.file",
      /no such file/,
    ],
    ["an unknown method", exampleYaml.replace("method: psk", "method: magic"), "site.yaml:11: links[0].authentication.method", /use "psk" or "certificate"/],
    ["no peer to start with", exampleYaml.replace("address: 198.51.100.1, ", ""), "site.yaml:9: links[0].remote.address", /peer's address is missing/],
    ["a repeated id", secondLink((link) => link.replace("10.2.0.0/24", "10.3.0.0/24")), "site.yaml:21: links[1].id", /used by an earlier link/],
    [
      "networks that two links claim",
      secondLink((link) => link.replace("berlin", "paris").replace("10.2.0.0/24", "10.2.0.128/25")),
      "site.yaml:35: links[1].children[0].remoteNetworks[0]",
      /overlaps 10\.2\.0\.0\/24 of link "berlin"/,
    ],
    ["broken YAML", exampleYaml.replace("revision: 7", "revision: [7"), "site.yaml:3", /not valid YAML/],
    ["an unknown key of two lines", `${exampleYaml}"a\\nb": 1\n`, "site.yaml:21", /^site\.yaml:21: \["a\\nb"\]: unknown key "a\\nb" — /],
    [
      "a name that is no distinguished one",
      exampleYaml.replace("identity: b.example", 'identity: "CN=b, 0s=x"'),
      "site.yaml:9",
      /^site\.yaml:9: links\[0\]\.remote\.identity: .*0s=x.* is not a part of a distinguished name/,
    ],
    ["a proposal of two lines", exampleYaml.replace("[aes256gcm16]", '["aes\\n256"]'), "site.yaml:16", /"aes\\n256" [^\n]*is not a known algorithm — /],
    ["an alias of nothing", exampleYaml.replace("revision: 7", "revision: *seven"), "site.yaml:2", /the alias \*seven stands for nothing/],
    [
      "an alias that comes before its anchor",
      exampleYaml.replace("revision: 7", "revision: *b").replace("name: amsterdam", "name: &b x"),
      "site.yaml:2",
      /\*b/,
    ],
    ["aliases of aliases without end", manyAliases, "site.yaml:3", /stand for far more/],
  ];
  test.each(cases)("%s is reported with line, field and reason", (_name, text, place, reason) => {
    const lines = problemsOf(text);
    expect(
      lines.some((line) => line.startsWith(`${place}: `) && reason.test(line)),
      lines.join("\n"),
    ).toBe(true);
  });

  test("every problem is reported at once, in the order of the file", () => {
    const lines = problemsOf(exampleYaml.replace("10.2.0.0/24", "10.2.0.1/24").replace("use: k1", "use: k2"));
    expect(lines.map((line) => line.split(":")[1])).toEqual(["14", "20"]);
  });

  test("no message quotes a secret", () => {
    const texts = [
      exampleYaml.replace("correct-horse-battery", "0sPLANTED!SECRET"),
      exampleYaml.replace("{ id: k1, secret: correct-horse-battery }", "{ id: k1, secret: PLANTED!SECRET"),
      exampleYaml.replace("correct-horse-battery", "[PLANTED!SECRET]"),
    ];
    for (const text of texts) {
      const lines = problemsOf(text);
      expect(lines.length).toBeGreaterThan(0);
      expect(lines.join("\n")).not.toContain("PLANTED");
    }
  });
});

describe("a good configuration", () => {
  test("secrets in files are put in place, without the final line end; a world-readable one is warned of", () => {
    writeFileSync(join(directory, "k.psk"), "from-a-file\n");
    chmodSync(join(directory, "k.psk"), 0o644);
    const path = join(directory, "good.yaml");
    writeFileSync(path, exampleYaml.replace("correct-horse-battery", "{ file: k.psk }"));
    const result = readConfigFile(path);
    if (!result.ok) throw new Error(result.lines.join("\n"));
    const auth = result.state.links[0]!.authentication;
    expect(auth.method === "psk" && auth.keys[0]!.secret).toBe("from-a-file");
    expect(result.warnings).toEqual([expect.stringMatching(/^good.yaml:13: .*warning: k.psk can be read by other users — chmod 600 k.psk$/)]);
  });

  test("the commented example is one", () => {
    const result = readConfigFile(new URL("../site.example.yaml", import.meta.url).pathname);
    expect(result).toMatchObject({ ok: true, warnings: [] });
  });

  test("a link that says nothing about proposals offers ML-KEM first, then what every peer has", () => {
    const path = join(directory, "plain.yaml");
    writeFileSync(path, exampleYaml.replace(/^ {4}ike:.*\n/m, "").replace(/^ {4}esp:.*\n/m, ""));
    const result = readConfigFile(path);
    if (!result.ok) throw new Error(result.lines.join("\n"));
    const { ike, esp } = result.state.links[0]!;
    expect(ike.proposals).toEqual([...defaultIkeProposals]);
    expect(esp.proposals).toEqual([...defaultEspProposals]);
    expect(ike.proposals[0]).toBe("aes256gcm16-prfsha384-x25519-ke1_mlkem768");
  });

  test("the JSON Schema in the repository is the one of this version", () => {
    const stored: unknown = JSON.parse(readFileSync(new URL("../site.schema.json", import.meta.url), "utf8"));
    expect(stored).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
  });

  test("the version is that of package.json", () => {
    const { version }: { version: string } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(agentVersion).toBe(version);
  });
});
