/** Secrets as people write them, turned into octets. */

/**
 * The octets of a pre-shared key: `0x…` is hexadecimal, `0s…` base64, anything else is its UTF-8 text. Throws an Error that
 * does not quote the secret.
 */
export function decodeSecret(text: string): Uint8Array {
  if (/^0x/i.test(text)) {
    const digits = text.slice(2);
    if (digits.length === 0 || digits.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(digits)) {
      throw new Error("the secret starts with 0x but the rest is not an even number of hexadecimal digits");
    }
    return new Uint8Array(Buffer.from(digits, "hex"));
  }
  if (text.startsWith("0s")) {
    const encoded = text.slice(2);
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) throw new Error("the secret starts with 0s but the rest is not base64");
    return new Uint8Array(Buffer.from(encoded, "base64"));
  }
  if (text.length === 0) throw new Error("the secret is empty");
  return new TextEncoder().encode(text);
}

/** The DER of every block `-----BEGIN label-----` in order. Throws when there is none; never quotes the text. */
export function decodePem(text: string, label: "CERTIFICATE" | "PRIVATE KEY" | "X509 CRL"): Uint8Array[] {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/g)];
  const wanted = blocks.filter((block) => block[1] === label);
  if (wanted.length === 0) {
    const seen = [...new Set(blocks.map((block) => block[1]))].join(", ");
    throw new Error(`no PEM block "${label}" found${seen === "" ? "" : ` (found: ${seen})`}`);
  }
  return wanted.map((block) => new Uint8Array(Buffer.from(block[2]!.replaceAll(/\s/g, ""), "base64")));
}
