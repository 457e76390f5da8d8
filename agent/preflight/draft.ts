import type { DesiredLink, DesiredState } from "../../contract/desired-state.ts";

/** One end of a link that is not in force yet: what its gateway would be told. Secrets are in place. */
export interface Draft {
  /** The site, as people call it. */
  readonly site: string;
  readonly gateway: Pick<DesiredState["gateway"], "ikePort" | "natPort">;
  readonly link: DesiredLink;
}
