import { createPrivateKey, sign } from "node:crypto";
import { type DerElement, DerTag, derChildren, derElement, derElements } from "../crypto/der.ts";

/* Lists and answers of an authority, changed and signed anew with its P-256 key: what OpenSSL's command line does not make. */

const subject = { code: "badRevocation", what: "the test's list or answer" } as const;
const ecdsaWithSha256 = Uint8Array.from(Buffer.from("300a06082a8648ce3d040302", "hex"));
const basicAnswer = Uint8Array.of(0x2b, 6, 1, 5, 5, 7, 48, 1, 1);

/** An extension in DER. `arcs`: content of its OBJECT IDENTIFIER. */
export function derExtension(arcs: readonly number[], critical: boolean, value: Uint8Array = Uint8Array.of(5, 0)): Uint8Array {
  const flag = critical ? [derElement(DerTag.BOOLEAN, [Uint8Array.of(0xff)])] : [];
  return derElement(DerTag.SEQUENCE, [derElement(DerTag.OBJECT_IDENTIFIER, [Uint8Array.from(arcs)]), ...flag, derElement(DerTag.OCTET_STRING, [value])]);
}

/** A list whose fields `change` has replaced: version, algorithm, issuer, dates, entries if there are any, extensions. */
export function resignedList(list: Uint8Array, key: Uint8Array, change: (fields: readonly DerElement[]) => readonly Uint8Array[]): Uint8Array {
  const [tbs] = derChildren(list, DerTag.SEQUENCE, subject);
  return signed(derElement(DerTag.SEQUENCE, change(derElements(tbs!.content, subject))), key, []);
}

/**
 * An OCSP answer whose ResponseData `change` has replaced: responder, date, the answers, extensions. `certificates`: in place of those
 * that came with it.
 */
export function resignedAnswer(
  answer: Uint8Array,
  key: Uint8Array,
  change: (fields: readonly DerElement[]) => readonly Uint8Array[],
  certificates: readonly Uint8Array[] = [],
): Uint8Array {
  const [status, bytes] = derChildren(answer, DerTag.SEQUENCE, subject);
  const [, basic] = derChildren(bytes!.content, DerTag.SEQUENCE, subject);
  const [data] = derChildren(basic!.content, DerTag.SEQUENCE, subject);
  const more = certificates.length === 0 ? [] : [derElement(0xa0, [derElement(DerTag.SEQUENCE, certificates)])];
  const made = signed(derElement(DerTag.SEQUENCE, change(derElements(data!.content, subject))), key, more);
  const wrapped = derElement(DerTag.SEQUENCE, [derElement(DerTag.OBJECT_IDENTIFIER, [basicAnswer]), derElement(DerTag.OCTET_STRING, [made])]);
  return derElement(DerTag.SEQUENCE, [status!.whole, derElement(0xa0, [wrapped])]);
}

/** `key`: PKCS #8 in DER. */
function signed(data: Uint8Array, key: Uint8Array, more: readonly Uint8Array[]): Uint8Array {
  const signature = sign("sha256", data, createPrivateKey({ key: Buffer.from(key), format: "der", type: "pkcs8" }));
  return derElement(DerTag.SEQUENCE, [data, ecdsaWithSha256, derElement(DerTag.BIT_STRING, [Uint8Array.of(0), signature]), ...more]);
}
