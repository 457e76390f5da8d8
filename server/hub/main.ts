import { closeDatabase } from "../db/client.ts";
import { setting } from "../db/settings.ts";
import { startHub } from "./start-hub.ts";

/*
 * The hub process. Settings: CULVERT_HUB_PORT (8444), CULVERT_BIND (127.0.0.1), CULVERT_HUB_UNIX (a path to listen on as well), and those of
 * the database and the master key. Prints "hub ready" when it listens; ends on SIGTERM and SIGINT.
 */
const log = (line: string) => console.log(`${new Date().toISOString()} hub: ${line}`);

const hub = await startHub({
  port: Number(setting("CULVERT_HUB_PORT") ?? 8_444),
  bind: setting("CULVERT_BIND") ?? "127.0.0.1",
  unixPath: setting("CULVERT_HUB_UNIX") ?? null,
  log,
});
console.log("hub ready");

let stopping = false;
for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.on(signal, () => {
    if (stopping) return;
    stopping = true;
    log(`${signal}: stopping`);
    hub
      .close()
      .then(closeDatabase)
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log(`could not stop cleanly: ${error instanceof Error ? error.message : String(error)}`);
          process.exit(1);
        },
      );
  });
