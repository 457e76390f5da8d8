import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { get } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { consoleTls, startTlsFront } from "./tls-front.ts";

const directory = mkdtempSync(join(tmpdir(), "culvert-tls-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const none = { certificate: undefined, key: undefined };

describe("the console's TLS", () => {
  it("makes a certificate for the public name once and keeps its key from other users", async () => {
    const first = await consoleTls(directory, "https://console.example.org:8443", none);
    expect(new X509Certificate(first.certificate).checkHost("console.example.org")).toBe("console.example.org");
    expect(statSync(join(directory, "tls/console.key")).mode & 0o777).toBe(0o600);
    expect(await consoleTls(directory, "https://console.example.org", none)).toEqual(first);
    expect((await consoleTls(directory, "https://192.0.2.7", none)).certificate).not.toBe(first.certificate);
  });

  it("refuses a certificate without its key", async () => {
    await expect(consoleTls(directory, "https://localhost", { certificate: "/a.crt", key: undefined })).rejects.toThrow("belong together");
  });

  it("passes a stream on as it comes, and the client cannot forge where it came from", async () => {
    const inner = createServer((request, answer) => {
      answer.writeHead(200, { "content-type": "text/event-stream" });
      answer.write(`data: ${request.headers["x-forwarded-proto"]} ${request.headers["x-forwarded-for"]}\n\n`);
    });
    await new Promise<void>((resolve) => inner.listen(0, "127.0.0.1", resolve));
    const front = await startTlsFront({
      tls: await consoleTls(directory, "https://localhost", none),
      host: "127.0.0.1",
      port: 0,
      consolePort: (inner.address() as AddressInfo).port,
    });
    try {
      const text = await new Promise<string>((resolve, reject) => {
        const options = { host: "127.0.0.1", port: (front.address() as AddressInfo).port, rejectUnauthorized: false, agent: false as const };
        const request = get({ ...options, headers: { "x-forwarded-for": "198.51.100.9", "x-forwarded-proto": "http" } }, (answer) => {
          answer.once("data", (bytes: Buffer) => {
            resolve(bytes.toString());
            request.destroy();
          });
        });
        request.once("error", reject);
      });
      expect(text).toBe("data: https 127.0.0.1\n\n");
    } finally {
      front.closeAllConnections();
      front.close();
      inner.closeAllConnections();
      inner.close();
    }
  });
});
