// Who may import whom (docs: architecture). Each layer lists everything it may reach; what is not listed is a violation.
const layer = (name, from, to) => ({
  name,
  severity: "error",
  from: { path: from, pathNot: "\\.test\\.tsx?$" },
  to: { pathNot: to, dependencyTypesNot: ["core", "unknown"] },
});

const pure = "^agent/(wire|crypto|ipsec|ike|preflight)/";
/** What makes an engine's configuration of a desired state: pure as well. */
const pureRuntime = "endpoint-options|link-config|identity-text|prefix|secret-source|state-checks|config-problem|proposal-check";

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } } },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    { name: "no-barrels", severity: "error", from: {}, to: { path: "/index\\.tsx?$", pathNot: "node_modules|generated" } },
    { name: "no-dumps", severity: "error", from: {}, to: { path: "/(util|utils|common|helper|helpers)(/|\\.tsx?$)", pathNot: "node_modules|generated" } },
    layer("contract-imports-zod", "^contract/", "^contract/|node_modules/zod/"),
    layer("wire-imports-itself", "^agent/wire/", "^agent/wire/"),
    layer("crypto-imports-wire-iana", "^agent/crypto/", "^agent/(crypto/|wire/(iana|address|octets)\\.ts$)|node_modules/(@peculiar/|reflect-metadata/)"),
    layer("ipsec-imports-wire-crypto", "^agent/ipsec/", "^agent/(ipsec|wire|crypto)/"),
    layer("ike-imports-wire-crypto-ipsec", "^agent/ike/", "^agent/(ike|wire|crypto|ipsec)/"),
    layer("dataplane-imports-wire-crypto-ipsec", "^agent/dataplane/", "^agent/(dataplane|wire|crypto|ipsec)/|node_modules/(koffi|@koromix)/"),
    // docs/adr/0006: the preflight runs in the console too, so it and what it reaches stay free of sockets, devices and native code.
    layer(
      "preflight-imports-the-engine",
      "^agent/preflight/",
      `^agent/(preflight|ike|wire|crypto|ipsec)/|^agent/runtime/(${pureRuntime})\\.ts$|^contract/|node_modules/zod/`,
    ),
    layer("agent-imports-agent-contract", "^agent/(runtime/|main\\.ts$)", "^(agent|contract)/|node_modules/"),
    // docs/adr/0008: one reader of PKCS #12 and PEM for both.
    layer(
      "server-imports-contract-prisma",
      "^server/",
      "^(server|contract|generated/prisma)/|^agent/preflight/console-(preflight|verdict)\\.ts$|^agent/crypto/credential-file\\.ts$|node_modules/",
    ),
    layer("app-imports-server-contract", "^app/", "^(app|server|contract)/|node_modules/"),
    // setup.mjs says where the project lies and how a gateway is started.
    layer("e2e-imports-contract", "^e2e/", "^(e2e|contract)/|^scripts/setup\\.mjs$|node_modules/"),
    {
      name: "prisma-in-server-only",
      severity: "error",
      from: { pathNot: "^(server|generated)/" },
      to: { path: "^generated/prisma/|node_modules/(@prisma|prisma)/" },
    },
    {
      name: "native-code-in-ffi-only",
      severity: "error",
      from: { pathNot: "^(agent/dataplane/ffi/|scripts/demo/leak-counter\\.ts$)" },
      to: { path: "node_modules/(koffi|@koromix)/" },
    },
    {
      name: "pure-core",
      comment: "Clock, randomness and the outside world are passed in.",
      severity: "error",
      from: { path: `${pure}|^agent/runtime/(${pureRuntime})\\.ts$`, pathNot: "\\.test\\.ts$" },
      to: {
        dependencyTypes: ["core"],
        path: "^(node:)?(fs|fs/promises|net|dgram|tls|http|https|http2|child_process|worker_threads|cluster|timers|timers/promises|os|process|dns|dns/promises|readline)$",
      },
    },
  ],
  options: {
    // With TypeScript 7 the default parser finds no imports at all, and so no violations: check.ts plants one.
    parser: "swc",
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules|generated" },
    exclude: { path: "^(\\.next|dist)/" },
    enhancedResolveOptions: {
      extensions: [".ts", ".tsx", ".mjs", ".js", ".json"],
      conditionNames: ["import", "node", "default", "types"],
      exportsFields: ["exports"],
    },
  },
};
