import { LinkInterfaces } from "./link-interfaces.ts";
import { takeNamespace } from "./namespace-lock.ts";
import { isOurs } from "./ownership.ts";
import type { PolicyReport } from "./policy-messages.ts";
import { type XfrmDatabases, XfrmKernel } from "./xfrm-kernel.ts";

/*
 * What a run that was killed left in the kernel. One that uses the kernel again takes it over (kernel-books.ts, link-interfaces.ts); for one that does not it is only in the way: old policies
 * seal packets under SAs that the peer has dropped, or drop those that the other plane has opened.
 */

/**
 * Removes all of it: at once, for what comes in its place is another plane. Does nothing where the kernel has no XFRM, or another gateway of ours uses it.
 * @param removeRoutes those along which packets met policies.
 * @throws Error with a sentence.
 */
export async function removeLeftovers(removeRoutes: () => Promise<void>): Promise<void> {
  const kernel = XfrmKernel.openIfThere();
  if (kernel === null) return;
  try {
    const lock = await takeNamespace();
    if (lock === null) return;
    try {
      LinkInterfaces.removeLeftovers();
      await removeRoutes();
      removeSas(kernel);
      for (const policy of policiesOf(kernel)) kernel.deletePolicy(policy);
    } finally {
      lock.close();
    }
  } finally {
    kernel.close();
  }
}

export function removeSas(kernel: XfrmDatabases): void {
  for (const { id, reqid } of kernel.dumpSas()) if (isOurs(reqid)) kernel.deleteSa(id);
}

export function policiesOf(kernel: XfrmDatabases): PolicyReport[] {
  return kernel.dumpPolicies().filter(({ index }) => isOurs(index));
}
