import { join } from "node:path";
import { parseArgs } from "node:util";
import { prepareSetup } from "../../server/auth/setup.ts";
import { closeDatabase } from "../../server/db/client.ts";
import { startEmbeddedDatabase } from "../../server/db/embedded.ts";
import { migrate } from "../../server/db/migrate.ts";
import { databaseUrl, setting } from "../../server/db/settings.ts";
import { root } from "../setup.mjs";
import { startConsole, startHub } from "./console.ts";
import { dataDirectory, keptSecret } from "./data-directory.ts";
import { Processes } from "./processes.ts";
import { takeSignals } from "./signals.ts";
import { consoleTls, startTlsFront } from "./tls-front.ts";

/**
 * `npm start [-- --only console|hub]`: the console and the hub for real use, until a signal or until one of them ends.
 * Settings: see docs. Exit code 0 after a signal, 1 when a part failed.
 */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const only = values.only;
  if (only !== undefined && only !== "console" && only !== "hub") throw new Error(`--only takes console or hub, not ${only}.`);
  const directory = dataDirectory();
  const processes = new Processes(join(directory, `processes${only === undefined ? "" : `-${only}`}.json`));
  const leftovers = await processes.endLeftovers();
  if (leftovers.length > 0) say(`ended ${leftovers.join(" and ")} of a run that had been killed`);

  const bind = setting("CULVERT_BIND") ?? "127.0.0.1";
  const consolePort = Number(setting("CULVERT_CONSOLE_PORT") ?? 8_443);
  const hubPort = Number(setting("CULVERT_HUB_PORT") ?? 8_444);
  const consoleUrl = setting("CULVERT_CONSOLE_URL") ?? `https://localhost:${consolePort}`;
  const hubUrl = setting("CULVERT_HUB_URL") ?? `https://localhost:${hubPort}`;
  const hasDatabase = setting("DATABASE_URL") !== undefined || setting("CULVERT_DATABASE_HOST") !== undefined;
  if (only !== undefined && !hasDatabase) throw new Error("--only needs a database that both parts reach: set DATABASE_URL or CULVERT_DATABASE_HOST.");
  const embedded = hasDatabase ? null : await startEmbeddedDatabase(join(directory, "postgres"));
  let fail: (sentence: string) => void = () => undefined;
  const ended = new Promise<number>((resolve) => {
    takeSignals(() => resolve(0));
    fail = (sentence) => {
      say(sentence);
      resolve(1);
    };
  });
  try {
    const env = {
      DATABASE_URL: embedded?.url ?? databaseUrl(),
      CULVERT_MASTER_KEY: keptSecret("CULVERT_MASTER_KEY", directory),
      CULVERT_SESSION_SECRET: keptSecret("CULVERT_SESSION_SECRET", directory),
      CULVERT_CONSOLE_URL: consoleUrl,
      CULVERT_HUB_URL: hubUrl,
      CULVERT_HUB_PORT: String(hubPort),
      CULVERT_BIND: bind,
    };
    Object.assign(process.env, env);
    await migrate(env.DATABASE_URL, join(root, "prisma/migrations"), (name) => say(`applied migration ${name}`));
    const child = (name: string) => ({ processes, env, onLine: (line: string) => void process.stdout.write(`[${name}] ${line}\n`), onUnexpectedEnd: fail });
    if (only !== "console") {
      await startHub(child("hub"));
      say(`gateways connect to ${hubUrl}`);
    }
    if (only !== "hub") {
      const tls = await consoleTls(directory, consoleUrl, { certificate: process.env["CULVERT_TLS_CERT_FILE"], key: process.env["CULVERT_TLS_KEY_FILE"] });
      const front = await startTlsFront({ tls, host: bind, port: consolePort, consolePort: await startConsole(child("console")) });
      front.unref();
      say(`console: ${consoleUrl}`);
      const code = await prepareSetup();
      if (code !== null) say(`setup code: ${code}`);
    }
    return await ended;
  } finally {
    await closeDatabase();
    await processes.stop();
    await embedded?.stop();
  }
}

function say(line: string): void {
  process.stdout.write(`[culvert] ${line}\n`);
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
