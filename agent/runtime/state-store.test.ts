import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StateStore } from "./state-store.ts";
import { exampleState } from "./test-doubles.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cvrt-store-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a saved state is read back as it was, and nobody else can read it", () => {
  const store = new StateStore(directory);
  expect(store.loadDesired()).toBeNull();
  store.saveDesired(exampleState());
  expect(new StateStore(directory).loadDesired()).toEqual(exampleState());
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, "desired.json")).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(["desired.json"]);
});

test("a write that a crash cut short leaves the former state in force", () => {
  const store = new StateStore(directory);
  store.saveDesired(exampleState());
  const whole = readFileSync(join(directory, "desired.json"), "utf8");
  for (const length of [0, 1, whole.length >> 1, whole.length - 1]) {
    // What is on disk when the machine dies between the first write and the rename.
    writeFileSync(join(directory, "desired.json.new"), whole.slice(0, length));
    expect(new StateStore(directory).loadDesired()).toEqual(exampleState());
  }
  store.saveDesired({ ...exampleState(), revision: 8 });
  expect(store.loadDesired()?.revision).toBe(8);
});

test("a damaged file is an error that quotes nothing of it", () => {
  const store = new StateStore(directory);
  for (const text of ['{"secret":"PLANTED', '{"schema":1,"secret":"PLANTED"}']) {
    writeFileSync(join(directory, "desired.json"), text);
    expect(() => store.loadDesired()).toThrow(/damaged/);
    expect(() => store.loadDesired()).not.toThrow(/PLANTED/);
  }
});
