import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Site } from "./namespaces.ts";
import type { KeyPair } from "./pki.ts";
import { pollUntil } from "./poll.ts";
import { runCommand, tryCommand } from "./run-command.ts";

const port = { lists: 8081, ocsp: 2560 } as const;

/** Any namespace that programs can be run in. */
type Place = Pick<Site, "start" | "run">;

/** An authority of OpenSSL's `ca` that revokes, with its list and its OCSP responder on the web at an address. */
export class RevokingAuthority {
  readonly certificatePem: string;
  readonly #directory: string;
  readonly #address: string;
  readonly #servers: ChildProcess[] = [];

  private constructor(directory: string, address: string) {
    this.#directory = directory;
    this.#address = address;
    this.certificatePem = readFileSync(join(directory, "ca.pem"), "utf8");
  }

  /** @param directory where it keeps its books; made. @param address where its servers will be. */
  static async make(directory: string, address: string, days = 2): Promise<RevokingAuthority> {
    mkdirSync(join(directory, "web"), { recursive: true });
    const path = (name: string) => join(directory, name);
    writeFileSync(path("index.txt"), "");
    writeFileSync(path("crlnumber"), "01\n");
    writeFileSync(path("ca.cnf"), configuration(directory));
    await newKey(path("ca.key"));
    const request = ["req", "-x509", "-new", "-key", path("ca.key"), "-subj", "/CN=Revoking authority", "-days", `${days}`, "-config", path("ca.cnf")];
    await runCommand(["openssl", ...request, "-extensions", "authority", "-out", path("ca.pem")]);
    return new RevokingAuthority(directory, address);
  }

  /** Where a certificate's extension says that the list, or the responder, is. */
  get listExtension(): string {
    return `crlDistributionPoints = URI:http://${this.#address}:${port.lists}/all.crl`;
  }

  get ocspExtension(): string {
    return `authorityInfoAccess = OCSP;URI:http://${this.#address}:${port.ocsp}/`;
  }

  /** `dates`: arguments of `openssl ca`, such as `-enddate 20550101000000Z`. `by`: an authority that this one has issued; else this one. */
  async issue(
    domainName: string,
    extensions: readonly string[] = [],
    options: { readonly dates?: readonly string[]; readonly by?: string } = {},
  ): Promise<KeyPair> {
    const lines = ["basicConstraints = critical, CA:FALSE", "keyUsage = critical, digitalSignature", `subjectAltName = DNS:${domainName}`, ...extensions];
    const signer = options.by === undefined ? [] : ["-cert", this.#path(`${options.by}.pem`), "-keyfile", this.#path(`${options.by}.key`)];
    return this.#sign(domainName, lines, [...signer, ...(options.dates ?? [])]);
  }

  /** An authority below this one. */
  issueAuthority(name: string): Promise<KeyPair> {
    return this.#sign(name, ["basicConstraints = critical, CA:TRUE, pathlen:0", "keyUsage = critical, keyCertSign, cRLSign"], []);
  }

  async #sign(name: string, extensions: readonly string[], more: readonly string[]): Promise<KeyPair> {
    const path = (suffix: string) => this.#path(`${name}.${suffix}`);
    writeFileSync(path("ext"), extensions.join("\n"));
    await newKey(path("key"));
    const config = ["-config", this.#path("ca.cnf")];
    await runCommand(["openssl", "req", "-new", "-key", path("key"), "-subj", `/CN=${name}`, "-out", path("csr"), ...config]);
    await runCommand(["openssl", "ca", "-batch", "-notext", ...config, "-in", path("csr"), "-out", path("pem"), "-extfile", path("ext"), ...more]);
    return { certificatePem: readFileSync(path("pem"), "utf8"), privateKeyPem: readFileSync(path("key"), "utf8") };
  }

  async revoke(domainName: string): Promise<void> {
    await runCommand(["openssl", "ca", "-config", this.#path("ca.cnf"), "-revoke", this.#path(`${domainName}.pem`), "-crl_reason", "keyCompromise"]);
  }

  /** Puts a new list on the web, good for this many seconds. */
  async publishList(seconds: number): Promise<void> {
    const pem = this.#path("list.pem");
    await runCommand(["openssl", "ca", "-config", this.#path("ca.cnf"), "-gencrl", "-crlsec", `${seconds}`, "-out", pem]);
    await runCommand(["openssl", "crl", "-in", pem, "-outform", "DER", "-out", this.#path("web/all.crl")]);
  }

  /** Serves what has been published. */
  async serveLists(place: Place): Promise<void> {
    this.#servers.push(place.start(["/usr/bin/python3", "-m", "http.server", `${port.lists}`, "--directory", this.#path("web")], { stdio: "ignore" }));
    await this.#answers(place, port.lists);
  }

  async serveOcsp(place: Place): Promise<void> {
    const books = ["-index", this.#path("index.txt"), "-CA", this.#path("ca.pem"), "-rsigner", this.#path("ca.pem"), "-rkey", this.#path("ca.key")];
    this.#servers.push(place.start(["openssl", "ocsp", "-port", `${port.ocsp}`, ...books, "-nmin", "5"], { stdio: "ignore" }));
    await this.#answers(place, port.ocsp);
  }

  close(): void {
    for (const server of this.#servers) server.kill("SIGKILL");
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  async #answers(place: Place, at: number): Promise<void> {
    await pollUntil("the authority's server to listen", 5_000, async () =>
      (await place.run(["ss", "-ltnH", `sport = :${at}`])).trim() === "" ? undefined : true,
    );
  }
}

async function newKey(file: string): Promise<void> {
  const { code, stderr } = await tryCommand(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file]);
  if (code !== 0) throw new Error(stderr);
}

function configuration(directory: string): string {
  return `
[ca]
default_ca = own
[own]
dir = ${directory}
database = $dir/index.txt
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
crlnumber = $dir/crlnumber
rand_serial = yes
default_md = sha256
default_days = 1
policy = anything
[anything]
commonName = supplied
[req]
distinguished_name = names
[names]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
`;
}
