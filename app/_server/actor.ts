import { headers } from "next/headers";
import { notFound, redirect } from "next/navigation";
import { type Actor, may } from "../../server/auth/actor.ts";
import { actorOf } from "../../server/auth/session.ts";
import { needsSetup } from "../../server/auth/setup.ts";
import { NotFound, Unauthenticated } from "../../server/errors.ts";

/** Who asks, for actions and API routes. Throws Unauthenticated. */
export async function currentActor(): Promise<Actor> {
  return actorOf(await headers());
}

/** Who asks, for pages: without a session on to sign-in, without any account on to setup. */
export async function pageActor(): Promise<Actor> {
  try {
    return await currentActor();
  } catch (error) {
    if (!(error instanceof Unauthenticated)) throw error;
  }
  redirect((await needsSetup()) ? "/setup" : "/sign-in");
}

/** Turns a domain's "there is no such thing" into the page that says so. */
export async function orNotFound<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof NotFound) notFound();
    throw error;
  }
}

// What a page shows; the server decides again when it is done.
export const mayEdit = (actor: Actor) => may(actor, "edit");
export const mayOperate = (actor: Actor) => may(actor, "operate");
export const mayManageUsers = (actor: Actor) => may(actor, "manage");
