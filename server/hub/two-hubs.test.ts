import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { performGatewayCommand } from "../commands/gateway-command.ts";
import { database } from "../db/client.ts";
import { setLinkEnabled } from "../links/save-link.ts";
import { createEnrolmentToken, revokeGateway } from "../sites/enrolment.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { connectGateway, connectRaw, endConnections, enrol, enrolAndConnect } from "../testing/fake-gateway.ts";
import { createTestLink } from "../testing/link-forms.ts";
import { until } from "../testing/until.ts";
import { type RunningHub, startHub } from "./start-hub.ts";

let stopDatabase: () => Promise<void>;
let hubs: [RunningHub, RunningHub];
let siteA: string;
let siteB: string;

beforeAll(async () => {
  ({ stop: stopDatabase } = await startTestDatabase());
  const start = () => startHub({ port: 0, bind: "127.0.0.1", unixPath: null, log: () => {} });
  hubs = await Promise.all([start(), start()]);
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" })).id;
});

afterEach(endConnections);

afterAll(async () => {
  await Promise.all((hubs ?? []).map((hub) => hub.close()));
  await stopDatabase?.();
});

const rekey = async (timeoutMilliseconds: number) => {
  const { id: gatewayId } = await database().gateway.findFirstOrThrow({ where: { siteId: siteA } });
  return performGatewayCommand({ gatewayId, linkId: null, command: { name: "rekey", linkId: "x", what: "all" }, requestedBy: "test", timeoutMilliseconds });
};

describe("two hubs on one database", () => {
  it("made one authority between them: a gateway enrolled at one is admitted by the other", async () => {
    expect(await database().authority.count({ where: { purpose: "hub" } })).toBe(1);
    const gateway = await enrolAndConnect(hubs[0].port, siteA);
    await connectGateway(hubs[1].port, gateway.identity);
  });

  it("take an enrolment token once between them", async () => {
    const { token } = await createEnrolmentToken(owner, siteB);
    const answers = await Promise.all(hubs.flatMap((hub) => [enrol(hub.port, token), enrol(hub.port, token)]));
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 403, 403, 403]);
  });

  it("push a save each to the gateways it holds", async () => {
    const [a, b] = [await enrolAndConnect(hubs[0].port, siteA), await enrolAndConnect(hubs[1].port, siteB)];
    const linkId = await createTestLink(siteA, siteB);
    await Promise.all([a.desiredWith(linkId), b.desiredWith(linkId)]);
    await setLinkEnabled(owner, linkId, false);
    await Promise.all([a, b].map((gateway) => gateway.until((state) => state.links.some((link) => !link.enabled))));
  });

  it("send a command once, by the hub that holds the gateway, also while its former connection hangs on at the other", async () => {
    const old = await enrolAndConnect(hubs[0].port, siteA);
    const told: string[] = [];
    old.onCommand(() => told.push("old"));
    const { hubId } = await until(async () => database().gateway.findFirst({ where: { siteId: siteA, hubId: { not: null } } }));
    const fresh = await connectGateway(hubs[1].port, old.identity);
    await until(async () => database().gateway.findFirst({ where: { siteId: siteA, hubId: { notIn: [hubId ?? ""] } } }));
    fresh.onCommand((id) => {
      told.push("fresh");
      fresh.send({ type: "result", id, ok: true, message: "rekeyed" });
    });
    for (let count = 0; count < 5; count += 1) expect((await rekey(5_000)).message).toBe("rekeyed");
    expect(told).toEqual(["fresh", "fresh", "fresh", "fresh", "fresh"]);
  });

  it("both let go of a revoked gateway within 5 s, and neither takes it again", async () => {
    const first = await enrolAndConnect(hubs[0].port, siteA);
    const second = await connectGateway(hubs[1].port, first.identity);
    const ends = [once(first.socket, "close"), once(second.socket, "close")];
    const revokedAt = Date.now();
    await revokeGateway(owner, siteA);
    await Promise.all(ends);
    expect(Date.now() - revokedAt).toBeLessThan(5_000);
    for (const hub of hubs) await expect(connectRaw(hub.port, first.identity)).rejects.toThrow(/401/);
  });

  it("say that nobody could be told when no hub holds the gateway", async () => {
    const outcome = await rekey(20_000);
    expect(outcome).toEqual({ ok: false, message: "The gateway is not connected to the console.", probe: null, traceFile: null });
  });
});
