import { betterAuth } from "better-auth";
import { prismaAdapter } from "better-auth/adapters/prisma";
import { APIError } from "better-auth/api";
import { twoFactor } from "better-auth/plugins";
import { database } from "../db/client.ts";
import { consoleUrl, requiredSetting } from "../db/settings.ts";

type Auth = ReturnType<typeof makeAuth>;

let kept: Auth | null = null;

/** Sign-in, sessions and TOTP; made at first use, because building the console needs neither database nor secret. */
export function auth(): Auth {
  kept ??= makeAuth();
  return kept;
}

function makeAuth() {
  const url = consoleUrl();
  const secure = url.startsWith("https:");
  return betterAuth({
    appName: "Culvert",
    baseURL: url,
    basePath: "/api/auth",
    secret: requiredSetting("CULVERT_SESSION_SECRET", "sessions are signed with it."),
    trustedOrigins: (request) => [new URL(url).origin, ...ownOrigin(request)],
    telemetry: { enabled: false },
    database: prismaAdapter(database(), { provider: "postgresql" }),
    // Accounts are made by an owner or by setup, in server/auth/create-user.ts: nobody signs up.
    emailAndPassword: { enabled: true, disableSignUp: true, minPasswordLength: 12, maxPasswordLength: 256 },
    user: {
      additionalFields: {
        role: { type: "string", input: false, required: true, defaultValue: "viewer" },
        disabled: { type: "boolean", input: false, required: true, defaultValue: false },
      },
    },
    session: { expiresIn: 12 * 3_600, updateAge: 900 },
    plugins: [twoFactor({ issuer: "Culvert" })],
    disabledPaths: ["/sign-up/email", "/update-user", "/change-email", "/delete-user", "/request-password-reset", "/reset-password"],
    // Kept in the database, so that it holds across consoles. Ten guesses a minute from one address are too few to find a password.
    rateLimit: {
      enabled: true,
      storage: "database",
      window: 60,
      max: 120,
      customRules: { "/sign-in/*": { window: 60, max: 10 }, "/two-factor/*": { window: 60, max: 10 }, "/change-password": { window: 60, max: 10 } },
    },
    advanced: {
      useSecureCookies: secure,
      cookiePrefix: "culvert",
      defaultCookieAttributes: { httpOnly: true, sameSite: "lax", secure },
    },
    databaseHooks: {
      session: {
        create: {
          before: async (session) => {
            const user = await database().user.findUnique({ where: { id: session.userId }, select: { disabled: true } });
            if (user === null || user.disabled) throw new APIError("FORBIDDEN", { message: "This account is disabled. An owner can enable it." });
          },
        },
      },
    },
  });
}

/** The origin a browser reached this console under, by whatever name: a request from there is no other site's. */
function ownOrigin(request: Request | undefined): string[] {
  const host = request?.headers.get("x-forwarded-host") ?? request?.headers.get("host");
  const scheme = request?.headers.get("x-forwarded-proto") === "https" ? "https" : "http";
  return host == null ? [] : [`${scheme}://${host}`];
}
