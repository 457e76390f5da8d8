import { createServer, type Server } from "node:net";

/** There is one SAD in a network namespace, and marks in it do not tell two gateways apart. */
const LOCK = "\0culvert-agent-xfrm";

/** Whoever has it may touch what is marked as ours. An abstract socket: it is of the network namespace, and goes with the process that holds it. Null: another one has it. */
export function takeNamespace(): Promise<Server | null> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(null));
    server.listen(LOCK, () => resolve(server.unref()));
  });
}
