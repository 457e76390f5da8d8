import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { askAgent } from "./control-client.ts";
import type { ControlRequest } from "./control-protocol.ts";
import { openControlSocket } from "./control-socket.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cvrt-control-"));
  path = join(directory, "agent.sock");
});
afterEach(() => rmSync(directory, { recursive: true }));

const echo = async (request: ControlRequest) => ({ ok: true, message: request.kind, value: request });

test("only its owner may use the socket, and it goes with the agent", async () => {
  const control = await openControlSocket(path, echo);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const request: ControlRequest = { kind: "command", command: { name: "rekey", linkId: "l", what: "ike" } };
  expect(await askAgent(path, request)).toEqual({ ok: true, message: "command", value: request });
  await control.close();
  expect(existsSync(path)).toBe(false);
  await expect(askAgent(path, request)).rejects.toThrow(/no agent answers/);
});

test("a second agent on the same socket is refused; the file of a killed one is replaced", async () => {
  const first = await openControlSocket(path, echo);
  await expect(openControlSocket(path, echo)).rejects.toThrow(/another agent is running/);
  await first.close();
  // A listener that dies without unlinking: net.Server unlinks on close, so the file is moved out of its way and back.
  const { renameSync } = await import("node:fs");
  const dead = createServer().listen(path);
  await new Promise((resolve) => dead.once("listening", resolve));
  renameSync(path, `${path}.kept`);
  await new Promise((resolve) => dead.close(resolve));
  renameSync(`${path}.kept`, path);
  const second = await openControlSocket(path, echo);
  expect((await askAgent(path, { kind: "status" })).ok).toBe(true);
  await second.close();
});

test("a request that is none is answered with a refusal, not with a crash", async () => {
  const control = await openControlSocket(path, echo);
  const answer = await new Promise<string>((resolve) => {
    const connection = connect(path, () => connection.write('{"kind":"explode"}\nnot json\n'));
    let text = "";
    connection.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.split("\n").length > 2) {
        connection.destroy();
        resolve(text);
      }
    });
  });
  for (const line of answer.trim().split("\n")) expect(JSON.parse(line)).toMatchObject({ ok: false });
  await control.close();
});
