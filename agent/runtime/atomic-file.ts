import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Replaces a file so that after a crash or power cut either the old or the new content is there, whole. Mode 0600 from the
 * first octet on.
 */
export function writeAtomically(path: string, content: string): void {
  writeBeside(path, content);
  putInPlace(path);
}

/** The first half: the content is on the disk, whole, and not yet in force. Without room for it nothing is left of it. */
export function writeBeside(path: string, content: string): void {
  const temporary = `${path}.new`;
  const file = openSync(temporary, "w", 0o600);
  try {
    writeFileSync(file, content);
    fsyncSync(file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

/** The second half: what was written beside the file takes its place. */
export function putInPlace(path: string): void {
  renameSync(`${path}.new`, path);
  // The rename itself is only on disk once the directory is.
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** The same with the disk's time spent elsewhere. One at a time for each path. */
export async function writeAtomicallyAside(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    for (const part of parts) await file.writeFile(part);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
