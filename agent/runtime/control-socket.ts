import { chmodSync, rmSync, statSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type ControlAnswer, type ControlRequest, controlRequest, longestSocketPath } from "./control-protocol.ts";

const LONGEST_LINE = 65_536;

/** The listening end. Close it to remove the file. */
export interface ControlSocket {
  close(): Promise<void>;
}

/**
 * Listens on `path` (0600, made private before it takes the first connection). A file left by a killed agent is replaced; one
 * behind which an agent answers is not: rejects then.
 */
export async function openControlSocket(path: string, handle: (request: ControlRequest) => Promise<ControlAnswer>): Promise<ControlSocket> {
  if (Buffer.byteLength(path) > longestSocketPath) throw new Error(`the control socket's path is longer than ${longestSocketPath} characters: ${path}`);
  if (isSocketFile(path)) {
    if (await answers(path)) throw new Error(`another agent is running: it answers on ${path}; give this one its own --socket or --state-dir`);
    rmSync(path, { force: true });
  }
  const connections = new Set<Socket>();
  const server = createServer((connection) => {
    connections.add(connection);
    connection.on("close", () => connections.delete(connection));
    serve(connection, handle);
  });
  const mask = process.umask(0o177);
  try {
    await listen(server, path);
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  return {
    close: async () => {
      for (const connection of connections) connection.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(path, { force: true });
    },
  };
}

function serve(connection: Socket, handle: (request: ControlRequest) => Promise<ControlAnswer>): void {
  connection.on("error", () => connection.destroy());
  let pending = 0;
  connection.on("data", (chunk: Buffer) => {
    pending = chunk.includes(10) ? 0 : pending + chunk.length;
    if (pending > LONGEST_LINE) connection.destroy();
  });
  const lines = createInterface({ input: connection });
  lines.on("error", () => connection.destroy()); // readline passes the connection's error on
  lines.on("line", (line) => {
    void answerLine(line, handle).then((answer) => connection.write(`${JSON.stringify(answer)}\n`));
  });
}

async function answerLine(line: string, handle: (request: ControlRequest) => Promise<ControlAnswer>): Promise<ControlAnswer> {
  try {
    const request = controlRequest.safeParse(JSON.parse(line));
    if (!request.success) return { ok: false, message: "The request is not one that this agent knows.", value: null };
    return await handle(request.data);
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error), value: null };
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function isSocketFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
