import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { recordEvent } from "../audit/record-event.ts";
import { database } from "../db/client.ts";
import { setting } from "../db/settings.ts";
import { Conflict, Invalid } from "../errors.ts";
import { parseInput } from "../parse-input.ts";
import { createUser, newUser } from "./create-user.ts";

const key = "setup-code";
/** Serialises two set-ups at once: the second finds a user. */
const setupLock = 7_305_001;

/** Whether the console still waits for its first account. */
export async function needsSetup(): Promise<boolean> {
  return (await database().user.count()) === 0;
}

/**
 * For the program that starts the console: without any user, makes the first from CULVERT_OWNER_EMAIL and
 * CULVERT_OWNER_PASSWORD when they are given, else a new one-time setup code to print. Returns the code, or null when none is needed.
 */
export async function prepareSetup(): Promise<string | null> {
  if (!(await needsSetup())) return null;
  const email = setting("CULVERT_OWNER_EMAIL");
  const password = setting("CULVERT_OWNER_PASSWORD");
  if (email !== undefined && password !== undefined) {
    await createOwner({ name: setting("CULVERT_OWNER_NAME") ?? "Owner", email, password });
    return null;
  }
  const code = setting("CULVERT_SETUP_CODE") ?? newCode();
  const value = { sha256: hashOf(code) };
  await database().setting.upsert({ where: { key }, create: { key, value }, update: { value } });
  return code;
}

const setupForm = newUser.omit({ role: true }).extend({ code: z.string().trim().min(1, "Type the code that the server printed.") });

/** Makes the first owner for whoever knows the setup code. Throws Invalid for a wrong code and Conflict once there is a user. */
export async function completeSetup(input: unknown): Promise<void> {
  const { code, ...owner } = parseInput(setupForm, input);
  const row = await database().setting.findUnique({ where: { key } });
  const stored = z.object({ sha256: z.string() }).safeParse(row?.value);
  if (!stored.success) throw new Conflict("There is no setup code yet. Restart the console: it prints one while there is no user.");
  if (!timingSafeEqual(Buffer.from(hashOf(code), "hex"), Buffer.from(stored.data.sha256, "hex"))) {
    throw new Invalid({ code: "This is not the code. The newest one that the server printed counts." });
  }
  await createOwner(owner);
}

async function createOwner(given: { name: string; email: string; password: string }): Promise<void> {
  const owner = parseInput(newUser, { ...given, role: "owner" });
  await database().$transaction(async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(${setupLock})`;
    if ((await tx.user.count()) > 0) throw new Conflict("The console is set up already. Sign in.");
    const id = await createUser(tx, owner);
    await tx.setting.deleteMany({ where: { key } });
    await recordEvent(tx, {
      resource: "user",
      resourceId: id,
      resourceName: owner.name,
      verb: "created",
      actorId: id,
      actorName: owner.name,
      summary: `${owner.name} set the console up and is its first owner`,
    });
  });
}

/** 100 random bits in five groups, without letters that are read as digits. */
function newCode(): string {
  const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  const letters = [...randomBytes(20)].map((octet) => alphabet[octet & 31]).join("");
  return (letters.match(/.{4}/g) ?? []).join("-");
}

function hashOf(code: string): string {
  return createHash("sha256").update(code.trim().toUpperCase()).digest("hex");
}
