import { z } from "zod";
import { authentication, desiredState, link, secretSource } from "./desired-state.ts";

/**
 * What a gateway without a console reads: the desired state, where certificates may also come in the container that other systems export
 * them in. The gateway opens it when it reads the file; nothing else knows of the form.
 */

const [preSharedKeys, certificates] = authentication.options;

const pkcs12Certificate = z.strictObject({
  id: z.string().min(1),
  /** Certificate, intermediates and private key in one (.p12, .pfx). */
  pkcs12: z.strictObject({ file: z.string().min(1) }),
  /** Left out: the file has no password. */
  password: secretSource.optional(),
});

const certificatesOfFile = certificates.extend({
  certificates: z
    .array(z.union([certificates.shape.certificates.element, pkcs12Certificate]))
    .min(1)
    .max(4),
});

export const siteFile = desiredState.extend({
  links: z.array(link.extend({ authentication: z.discriminatedUnion("method", [preSharedKeys, certificatesOfFile]) })).max(10_000),
});

export type SiteFile = z.infer<typeof siteFile>;
/** What an author may write: defaults left out. */
export type SiteFileInput = z.input<typeof siteFile>;
