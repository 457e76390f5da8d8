import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
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

test("on a full disk the former state stays, nothing is left beside it, and the sentence says which directory and why", () => {
  const store = new StateStore(directory);
  store.saveDesired(exampleState());
  // The kernel's own answer of a disk without room.
  symlinkSync("/dev/full", join(directory, "desired.json.new"));
  expect(() => store.stageDesired({ ...exampleState(), revision: 8 })).toThrow(`nothing can be stored in ${directory}: the disk is full; nothing was changed`);
  symlinkSync("/dev/full", join(directory, "machine.json.new"));
  expect(() => store.reserveIdentity()).toThrow("the disk is full");
  expect(store.loadDesired()?.revision).toBe(7);
  expect(readdirSync(directory)).toEqual(["desired.json"]);
});

test("what was staged comes into force when it is saved, also when less of it is", () => {
  const store = new StateStore(directory);
  const whole = { ...exampleState(), revision: 8 };
  store.stageDesired(whole);
  expect(store.loadDesired()).toBeNull();
  store.saveDesired(whole);
  expect(store.loadDesired()).toEqual(whole);
  store.stageDesired({ ...whole, revision: 9 });
  store.saveDesired({ ...whole, revision: 9, links: [] });
  expect(store.loadDesired()).toMatchObject({ revision: 9, links: [] });
  expect(readdirSync(directory)).toEqual(["desired.json"]);
});

test("a damaged file is an error that quotes nothing of it", () => {
  const store = new StateStore(directory);
  for (const text of ['{"secret":"PLANTED', '{"schema":1,"secret":"PLANTED"}']) {
    writeFileSync(join(directory, "desired.json"), text);
    expect(() => store.loadDesired()).toThrow(/damaged/);
    expect(() => store.loadDesired()).not.toThrow(/PLANTED/);
  }
});
