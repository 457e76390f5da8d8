import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below those that the system gives to connections and to whoever asks for any: until it is used nobody gets it who does not ask for this very one. */
const [lowest, highest] = [20_000, 32_000];
const attempts = 50;

/** A TCP port on loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const port = randomInt(lowest, highest);
    if (await isFree(port)) return port;
  }
  throw new Error(`No free port on loopback among ${attempts} between ${lowest} and ${highest}.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
