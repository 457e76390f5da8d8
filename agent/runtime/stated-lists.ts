import type { DesiredState } from "../../contract/desired-state.ts";
import { type Certificate, readCertificate } from "../crypto/certificate.ts";
import { decodePem } from "./secret-source.ts";

/** The revocation lists that a state brings along, in DER, and the authorities that its links trust: only theirs are believed. */
export interface StatedLists {
  readonly lists: readonly Uint8Array[];
  readonly authorities: readonly Certificate[];
}

/** What cannot be read is left out: `checkState` has told of it, and it holds nothing else up. */
export function statedLists({ revocationLists = [], links }: DesiredState): StatedLists {
  const lists = revocationLists.flatMap((source) => readable(() => decodePem(inPlace(source), "X509 CRL")));
  if (lists.length === 0) return { lists, authorities: [] };
  const trusted = links.flatMap(({ authentication }) => (authentication.method === "certificate" ? authentication.trustedAuthorities.map(inPlace) : []));
  return { lists, authorities: [...new Set(trusted)].flatMap((text) => readable(() => decodePem(text, "CERTIFICATE").map(readCertificate))) };
}

function inPlace(source: string | { readonly file: string }): string {
  return typeof source === "string" ? source : "";
}

function readable<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch {
    return []; // Told of by `checkState`, with the place.
  }
}
