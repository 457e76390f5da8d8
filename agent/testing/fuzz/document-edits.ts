/*
 * Documents that are almost right: an input is a list of edits of a good one, six octets each, so that mutating it reaches what stands behind
 * the reader's first check. Also the text that a document becomes can be given as it is.
 */

const EDIT_OCTETS = 6;
const MOST_EDITS = 16;

/** JSON values; nothing else goes in. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Values at which readers break. */
const STRANGE: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e308,
  2 ** 53,
  65_536,
  "",
  " ",
  "\n",
  "a\nb: c",
  "0",
  "%any",
  "CN=",
  "CN=a,O=\\",
  "@",
  "@@",
  "10.1.0.0/33",
  "0.0.0.0/0",
  "::/0",
  "::ffff:1.2.3.4",
  "10.1.0.5-10.1.0.1",
  "aes256gcm16-",
  "aes256",
  "0x",
  "0s=",
  "__proto__",
  "constructor",
  "A".repeat(300),
  [],
  {},
  [[]],
];

/** A copy of `document` with the edits of `script` done, one after the other. */
export function editedDocument(document: Json, script: Uint8Array): Json {
  let edited = structuredClone(document);
  for (let at = 0, count = 0; at + EDIT_OCTETS <= script.length && count < MOST_EDITS; at += EDIT_OCTETS, count++)
    edited = edit(edited, script.subarray(at, at + EDIT_OCTETS));
  return edited;
}

interface Place {
  readonly value: Json;
  readonly set: (value: Json) => void;
  readonly remove: () => void;
  /** Puts the value there once more, under another name or as the next element. */
  readonly repeat: (name: string) => void;
}

function edit(document: Json, script: Uint8Array): Json {
  const root: { document: Json } = { document };
  const places = placesIn(root.document, (value) => {
    root.document = value;
  });
  const [op = 0, high = 0, low = 0, value = 0, position = 0, length = 0] = script;
  const place = places[((high << 8) | low) % places.length]!;
  switch (op % 8) {
    case 0:
    case 1:
      place.set(structuredClone(STRANGE[value % STRANGE.length]!));
      break;
    case 2:
      place.remove();
      break;
    case 3:
      place.repeat(String(STRANGE[value % STRANGE.length]));
      break;
    case 4:
      place.set(structuredClone(places[(value * 256 + position) % places.length]!.value));
      break;
    case 5:
      // One character of a text, or a number that is a little off.
      if (typeof place.value === "string") place.set(spliced(place.value, position, 1, String.fromCharCode(value)));
      else if (typeof place.value === "number") place.set(place.value + value - 128);
      break;
    case 6:
      if (typeof place.value === "string") place.set(spliced(place.value, position, length, ""));
      break;
    default:
      if (typeof place.value === "string") place.set(spliced(place.value, position, 0, String(STRANGE[value % STRANGE.length])));
  }
  return root.document;
}

function spliced(text: string, position: number, removed: number, added: string): string {
  const at = text.length === 0 ? 0 : position % (text.length + 1);
  return text.slice(0, at) + added + text.slice(at + removed);
}

/** All values of the document, itself first. */
function placesIn(value: Json, set: (value: Json) => void, remove: () => void = () => undefined, repeat: (name: string) => void = () => undefined): Place[] {
  const own: Place = { value, set, remove, repeat };
  if (Array.isArray(value))
    return [
      own,
      ...value.flatMap((element, index) =>
        placesIn(
          element,
          (to) => {
            value[index] = to;
          },
          () => void value.splice(index, 1),
          () => void value.splice(index, 0, structuredClone(element)),
        ),
      ),
    ];
  if (typeof value !== "object" || value === null) return [own];
  return [
    own,
    ...Object.entries(value).flatMap(([key, inner]) =>
      placesIn(
        inner,
        (to) => {
          value[key] = to;
        },
        () => void delete value[key],
        (name) => void Object.defineProperty(value, name, { value: structuredClone(inner), enumerable: true, configurable: true, writable: true }),
      ),
    ),
  ];
}
