/** A section of strongSwan's configuration language: settings and sections by name. A list is written comma-separated. */
export interface Section {
  readonly [name: string]: string | number | boolean | readonly string[] | Section | undefined;
}

/** The text of a section's contents, as swanctl.conf and strongswan.conf want it. Booleans become `yes` and `no`. */
export function formatSection(section: Section, indent = ""): string {
  let text = "";
  for (const [name, value] of Object.entries(section)) {
    if (value === undefined) continue;
    if (isSection(value)) text += `${indent}${name} {\n${formatSection(value, `${indent}  `)}${indent}}\n`;
    else text += `${indent}${name} = ${formatValue(value)}\n`;
  }
  return text;
}

function isSection(value: Section[string]): value is Section {
  return typeof value === "object" && !Array.isArray(value);
}

function formatValue(value: string | number | boolean | readonly string[]): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return /^[\w.:/%-]*$/.test(value) ? value : `"${value.replaceAll('"', '\\"')}"`;
  if (typeof value === "number") return String(value);
  return value.join(",");
}

/** What `swanctl --raw` prints, read: sections, lists and text. */
export interface RawSection {
  readonly [name: string]: string | readonly string[] | RawSection;
}

/**
 * Reads one line of `swanctl --raw`, such as `list-sa event {site {uniqueid=1 child-sas {net-1 {state=INSTALLED}}}}`.
 * Values are not quoted there: one runs until something that can only be the next item.
 * @returns the section after the words that open the line.
 * @throws when the text is not of that form.
 */
export function parseRaw(line: string): RawSection {
  const start = line.indexOf("{");
  if (start < 0) throw new Error(`not swanctl's raw output: ${line}`);
  const reader = { text: line, at: start + 1 };
  return readSection(reader);
}

const nextItem = /\s*(?:(\})|([^\s={}[\]]+)(=\[|=| \{|\{| \[))/y;
const plainValue = /(.*?)(?=\s+[^\s={}[\]]+(?:=| \{)|\s*\})/sy;
// A selector may end in protocol and port, in brackets of their own: 10.2.0.0/24[tcp/5201].
const listValue = /((?:[^[\]]|\[[^\]]*\])*)\]/y;

function readSection(reader: { text: string; at: number }): RawSection {
  const section: Record<string, string | readonly string[] | RawSection> = {};
  for (;;) {
    const item = take(reader, nextItem);
    const [, end, name = "", opening] = item;
    if (end !== undefined) return section;
    if (opening === "=") section[name] = take(reader, plainValue)[1] ?? "";
    else if (opening === "=[" || opening === " [") section[name] = (take(reader, listValue)[1] ?? "").split(/\s+/).filter(Boolean);
    else section[name] = readSection(reader);
  }
}

function take(reader: { text: string; at: number }, pattern: RegExp): RegExpExecArray {
  pattern.lastIndex = reader.at;
  const match = pattern.exec(reader.text);
  if (match === null) throw new Error(`cannot read swanctl's output at "${reader.text.slice(reader.at, reader.at + 60)}"`);
  reader.at = pattern.lastIndex;
  return match;
}
