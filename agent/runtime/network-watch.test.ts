import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { NetworkWatch } from "./network-watch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A watch whose `ip monitor` says what the test has it say. */
function watched() {
  const started: (EventEmitter & { readonly stdout: EventEmitter; kill(): unknown })[] = [];
  const onChange = vi.fn();
  const watch = new NetworkWatch(onChange, () => {
    started.push(Object.assign(new EventEmitter(), { stdout: new EventEmitter(), kill: () => undefined }));
    return started.at(-1)!;
  });
  const say = (text: string) => started.at(-1)!.stdout.emit("data", Buffer.from(text));
  return { started, onChange, watch, say };
}

test.each([
  ["an interface", "3: out0@if2: <BROADCAST,MULTICAST> mtu 1500 qdisc noqueue state DOWN group 0 \\    link/1 02:00:00:00:01:01 brd ff:ff:ff:ff:ff:ff\n", 1],
  ["an address", "Deleted 3: out0    inet 192.0.2.1/24 scope 0 out0 \\       valid_lft forever preferred_lft forever\n", 1],
  ["the default route", "default via 192.0.2.254 dev out0 \n", 1],
  ["a route of a routing daemon", "Deleted 203.0.113.0/24 via 192.0.2.254 dev out0 proto 186 metric 20 \n", 1],
  ["a route of ours", "198.51.100.1 via 192.0.2.254 dev out0 proto 213 \n", 0],
  ["one that we removed", "Deleted 0.0.0.0/1 dev culvert0 proto 213 scope 253 mtu 1438 \n", 0],
  ["one of ours without anything behind its protocol", "10.2.0.0/24 dev culvert0 proto 214\n", 0],
  ["ours, then another's", "10.2.0.0/24 dev culvert0 proto 213 scope 253 mtu 1438 \ndefault via 192.0.2.254 dev out0 \n", 1],
])("a change of %s is told, unless it is our own", (_, said, times) => {
  const { onChange, say } = watched();
  // In pieces, as a pipe may give it.
  say(said.slice(0, 12));
  say(said.slice(12));
  vi.advanceTimersByTime(10_000);
  expect(onChange).toHaveBeenCalledTimes(times);
});

test("a burst is told once, 100 ms after it began, and what changes without end twice a second", () => {
  const { onChange, say } = watched();
  say("default via 192.0.2.254 dev out0 \n");
  vi.advanceTimersByTime(99);
  say("default via 192.0.2.253 dev out0 \n");
  expect(onChange).toHaveBeenCalledTimes(0);
  vi.advanceTimersByTime(1);
  expect(onChange).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(10_000);
  expect(onChange).toHaveBeenCalledTimes(1);
  for (let at = 0; at < 5_000; at += 10) {
    say("203.0.113.0/24 via 192.0.2.254 dev out0 proto 186 \n");
    vi.advanceTimersByTime(10);
  }
  expect(onChange).toHaveBeenCalledTimes(1 + 10);
});

test("a monitor that ends is begun again, and what it may have missed is looked at; a closed watch tells nothing", () => {
  const { started, onChange, watch, say } = watched();
  started[0]!.emit("exit");
  vi.advanceTimersByTime(5_100);
  expect(started).toHaveLength(2);
  expect(onChange).toHaveBeenCalledTimes(1);
  say("default via 192.0.2.254 dev out0 \n");
  watch.close();
  vi.advanceTimersByTime(10_000);
  expect(onChange).toHaveBeenCalledTimes(1);
});
