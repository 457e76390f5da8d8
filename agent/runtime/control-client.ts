import { connect } from "node:net";
import { createInterface } from "node:readline";
import { type ControlAnswer, type ControlRequest, controlAnswer } from "./control-protocol.ts";

/** Asks the agent behind the socket; rejects with a sentence when nobody answers. */
export function askAgent(path: string, request: ControlRequest): Promise<ControlAnswer> {
  return new Promise((resolve, reject) => {
    const connection = connect(path);
    connection.once("error", (error) => reject(new Error(`no agent answers on ${path} (${error.message}); is it running, and is this user allowed?`)));
    connection.once("connect", () => connection.write(`${JSON.stringify(request)}\n`));
    const lines = createInterface({ input: connection });
    lines.on("error", reject); // readline passes the connection's error on
    lines.once("line", (line) => {
      connection.end();
      const answer = controlAnswer.safeParse(JSON.parse(line));
      if (answer.success) resolve(answer.data);
      else reject(new Error("the agent's answer could not be read; are agent and command line of the same version?"));
    });
    lines.once("close", () => reject(new Error("the agent closed the connection without an answer")));
  });
}
