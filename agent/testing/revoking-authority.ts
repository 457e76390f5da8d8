import { OpenSsl } from "./openssl.ts";

/** An authority of OpenSSL's own that revokes: its lists and its OCSP answers come from another implementation than ours. */
export class RevokingAuthority {
  readonly openssl = new OpenSsl();
  readonly #algorithm: readonly string[];

  /** `algorithm`: arguments of `openssl genpkey`. */
  constructor(algorithm: readonly string[] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]) {
    this.#algorithm = algorithm;
    const { openssl } = this;
    openssl.write("index.txt", "");
    openssl.write("crlnumber", "01\n");
    openssl.write("ca.cnf", CONFIGURATION);
    this.#key("ca");
    openssl.run(
      "req",
      "-new",
      "-x509",
      "-key",
      "ca.key",
      "-subj",
      "/CN=Authority",
      "-days",
      "30",
      "-out",
      "ca.pem",
      "-config",
      "ca.cnf",
      "-extensions",
      "authority",
    );
  }

  get certificate(): Uint8Array {
    return this.openssl.certificate("ca.pem");
  }

  /** A certificate in DER. `extensions`: lines of OpenSSL's configuration, such as `crlDistributionPoints = URI:http://…`. */
  issue(name: string, extensions: readonly string[] = []): Uint8Array {
    const { openssl } = this;
    this.#key(name);
    openssl.run("req", "-new", "-key", `${name}.key`, "-subj", `/CN=${name}`, "-out", `${name}.csr`, "-config", "ca.cnf");
    openssl.write(`${name}.ext`, [`subjectAltName = DNS:${name}`, ...extensions].join("\n"));
    openssl.run("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", `${name}.csr`, "-out", `${name}.pem`, "-extfile", `${name}.ext`);
    return openssl.certificate(`${name}.pem`);
  }

  revoke(name: string, reason = "keyCompromise"): void {
    this.openssl.run("ca", "-config", "ca.cnf", "-revoke", `${name}.pem`, "-crl_reason", reason);
  }

  /** A list in DER; `days` negative: one that is out of date. */
  list(options: { readonly extensions?: string; readonly arguments?: readonly string[] } = {}): Uint8Array {
    const { openssl } = this;
    const extra = options.extensions === undefined ? [] : ["-crlexts", options.extensions];
    openssl.run("ca", "-config", "ca.cnf", "-gencrl", "-out", "list.pem", ...(options.arguments ?? ["-crldays", "7"]), ...extra);
    openssl.run("crl", "-in", "list.pem", "-outform", "DER", "-out", "list.der");
    return openssl.read("list.der");
  }

  /** An OCSP answer in DER to a request in DER, signed by the authority or by the certificate of this name. */
  answer(request: Uint8Array, signer = "ca", extra: readonly string[] = ["-ndays", "1"]): Uint8Array {
    const { openssl } = this;
    openssl.write("request.der", request);
    const signing = ["-rsigner", `${signer}.pem`, "-rkey", `${signer}.key`];
    openssl.run("ocsp", "-index", "index.txt", "-CA", "ca.pem", ...signing, "-reqin", "request.der", "-respout", "answer.der", ...extra);
    return openssl.read("answer.der");
  }

  remove(): void {
    this.openssl.remove();
  }

  #key(name: string): void {
    this.openssl.run("genpkey", ...this.#algorithm, "-out", `${name}.key`);
  }
}

const CONFIGURATION = `
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
rand_serial = yes
default_md = sha256
default_days = 20
crlnumber = crlnumber
policy = anything
unique_subject = no
[anything]
commonName = supplied
[req]
distinguished_name = names
[names]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
[endEntitiesOnly]
issuingDistributionPoint = critical, @endEntities
[endEntities]
onlyuser = TRUE
[authoritiesOnly]
issuingDistributionPoint = critical, @authorities
[authorities]
onlyCA = TRUE
[oneShard]
issuingDistributionPoint = critical, @shard
[shard]
fullname = URI:http://lists.example/shard-1.crl
[indirect]
issuingDistributionPoint = critical, @indirectList
[indirectList]
indirectCRL = TRUE
[strange]
1.3.6.1.4.1.99999.7 = critical, DER:0500
[delta]
deltaCRL = critical, DER:020101
`;
