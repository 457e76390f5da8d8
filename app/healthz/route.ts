import { database } from "../../server/db/client.ts";

export const dynamic = "force-dynamic";

/** For whoever watches the process: 200 when pages can be served, which takes the database. */
export async function GET(): Promise<Response> {
  try {
    await database().$queryRaw`SELECT 1`;
    return Response.json({ status: "ok" });
  } catch (error) {
    console.error("healthz: the database does not answer:", error);
    return Response.json({ status: "the database does not answer" }, { status: 503 });
  }
}
