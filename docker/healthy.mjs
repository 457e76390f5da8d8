// Health check of the console and the hub: 0 when /healthz answers 200. The certificate is not checked, because this talks to
// its own container over loopback and the certificate names the public host.
import { get } from "node:https";

const port = Number(process.argv[2]);
get({ host: "127.0.0.1", port, path: "/healthz", rejectUnauthorized: false, timeout: 4_000 }, (answer) => {
  answer.resume();
  process.exit(answer.statusCode === 200 ? 0 : 1);
})
  .on("timeout", () => process.exit(1))
  .on("error", (error) => {
    console.error(error.message);
    process.exit(1);
  });
