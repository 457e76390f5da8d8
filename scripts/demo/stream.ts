import { connect, createServer } from "node:net";

/*
 * One TCP stream through the tunnel: `stream.ts receive ADDRESS PORT` prints {"megabitsPerSecond", "octets"} once its sender is
 * done; `stream.ts send LOCAL ADDRESS PORT SECONDS` sends as fast as it is taken.
 */
const [role, ...args] = process.argv.slice(2);

if (role === "receive") {
  const [host = "", port = ""] = args;
  const server = createServer((socket) => {
    const started = performance.now();
    let octets = 0;
    socket.on("data", (bytes) => {
      octets += bytes.length;
    });
    socket.once("close", () => {
      const seconds = (performance.now() - started) / 1_000;
      process.stdout.write(`${JSON.stringify({ megabitsPerSecond: (octets * 8) / 1e6 / seconds, octets })}\n`);
      server.close();
    });
    socket.on("error", () => socket.destroy());
  });
  server.listen(Number(port), host, () => process.stdout.write("ready\n"));
} else {
  const [localAddress = "", host = "", port = "", seconds = "1"] = args;
  const chunk = Buffer.alloc(1 << 18);
  const socket = connect({ host, port: Number(port), localAddress });
  const until = performance.now() + Number(seconds) * 1_000;
  const fill = (): void => {
    while (performance.now() < until) if (!socket.write(chunk)) return void socket.once("drain", fill);
    socket.end();
  };
  socket.once("connect", fill);
  socket.once("error", (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
}
