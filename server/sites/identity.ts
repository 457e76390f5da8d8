/** The IKE identity of a site's gateway: readable, a domain name, and the site's own for as long as it exists. */
export function siteIdentity(site: { id: string; name: string }): string {
  const slug = site.name
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 40);
  return `${slug || "site"}.${site.id.slice(0, 8)}.culvert`;
}
