import { createHash, randomBytes } from "node:crypto";
import { connect, createServer } from "node:net";

/**
 * One TCP stream in both directions. `mirror <address>`: prints `ready`, sends everything of one connection back, and ends. `send <address> <octets>`:
 * sends that many random octets and prints whether the same came back.
 */
const PORT = 7_000;
const [, , role, address, octets] = process.argv;

if (role === "mirror") {
  const server = createServer((socket) => {
    socket.pipe(socket);
    server.close();
  });
  server.listen(PORT, address, () => console.log("ready"));
} else {
  const data = randomBytes(Number(octets));
  const received = createHash("sha256");
  const socket = connect(PORT, address ?? "", () => socket.end(data));
  socket.on("data", (bytes) => received.update(bytes));
  socket.on("end", () => console.log(String(received.digest().equals(createHash("sha256").update(data).digest()))));
}
