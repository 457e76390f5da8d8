import { expect, test } from "vitest";
import { MessageRoom } from "./message-room.ts";

test("has room for 512 messages, and for another when one has been dealt with", () => {
  const main = new MessageRoom();
  const worker = new MessageRoom(main.shared);
  for (let i = 0; i < 512; i++) expect(worker.take()).toBe(true);
  for (let times = 0; times < 3; times++) {
    expect([worker.take(), worker.take()]).toEqual([false, false]);
    main.give();
    expect(worker.take()).toBe(true);
  }
});
