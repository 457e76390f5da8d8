import { expect, test } from "vitest";
import { closeEngine, type Engine, type EngineFactories, openEngine } from "./engine.ts";
import { systemRandom } from "./system-clock.ts";
import { exampleState, RecordingPlane, recordingMachine } from "./test-doubles.ts";

/* Parts of the machine that fail while an engine is opened or closed: nothing stays open, and what failed is told. */

function setUp(changes: Partial<EngineFactories> = {}) {
  const machine = recordingMachine();
  const faults: string[] = [];
  const opening = openEngine(exampleState().gateway, {
    factories: { ...machine.factories, openWholeSender: () => ({ send: () => true, close: () => void machine.ipCalls.push("sender closed") }), ...changes },
    clock: { now: () => 0, wallNow: () => 0 },
    random: systemRandom,
    onEvent: () => undefined,
    onTrace: () => undefined,
    revocation: { status: () => ({ kind: "good" }) },
    onRevocationQuery: () => undefined,
    onPlaneFailed: (reason) => faults.push(`failed: ${reason}`),
    onPlaneFault: () => undefined,
    onFault: (sentence) => faults.push(sentence),
  });
  return { ...machine, faults, opening };
}

const refuse = async (): Promise<never> => Promise.reject(new Error("the kernel is out of memory"));

/** Has failed before anybody listens, as a worker that dies as soon as it runs. */
class StillbornPlane extends RecordingPlane {
  override onEvent(listener: Parameters<RecordingPlane["onEvent"]>[0]): void {
    super.onEvent(listener);
    this.emit({ kind: "failed", reason: "a worker died" });
  }
}

test("a sender of whole datagrams that cannot be had leaves no data plane open", async () => {
  const openWholeSender = () => {
    throw new Error("the kernel is out of memory");
  };
  const { planes, opening } = setUp({ openWholeSender });
  await expect(opening).rejects.toThrow("out of memory");
  expect(planes[0]!.calls).toEqual(["close"]);
});

test("a data plane that has failed before it is listened to is no engine, and the reason is told", async () => {
  const plane = new StillbornPlane();
  const { ipCalls, faults, opening } = setUp({ openPlane: async () => plane });
  await expect(opening).rejects.toThrow("the data plane failed as soon as it was there: a worker died");
  expect(ipCalls.slice(-2)).toEqual(["transport closed", "sender closed"]);
  expect([plane.calls, faults]).toEqual([["close"], []]);
});

test.each(["flush", "close"] as const)("a %s of the data plane that fails keeps nothing else open, and is told", async (step) => {
  const { planes, ipCalls, faults, opening } = setUp();
  const engine: Engine = await opening;
  planes[0]![step] = refuse;
  await closeEngine(engine);
  expect(faults).toEqual(["closing: the kernel is out of memory"]);
  expect(planes[0]!.calls).toEqual([step === "flush" ? "close" : "flush"]);
  expect(ipCalls.slice(-2)).toEqual(["transport closed", "sender closed"]);
});
