import { CredentialFileError, readAuthorities, readCredentialFile } from "../../crypto/credential-file.ts";
import { OpenSsl } from "../openssl.ts";
import { once, refusing, type Target, textOf } from "./target.ts";

/* Files of certificates and keys that people import. */

const PASSWORD = "password";

/** Few rounds of the password check, so that many inputs can be tried; a file without a MAC lets changes of its inside through. */
const FORMS: readonly (readonly string[])[] = [
  [],
  ["-nomac"],
  ["-nomac", "-keypbe", "NONE", "-certpbe", "NONE"],
  ["-nomac", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "NONE"],
  ["-macalg", "sha512", "-keypbe", "AES-128-CBC", "-certpbe", "PBE-SHA1-3DES"],
];

const files = once(() => {
  const openssl = new OpenSsl();
  try {
    openssl.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "own.key");
    openssl.run("req", "-x509", "-new", "-key", "own.key", "-subj", "/CN=own", "-days", "30", "-out", "own.pem");
    openssl.run("pkcs8", "-topk8", "-in", "own.key", "-passout", `pass:${PASSWORD}`, "-iter", "1", "-out", "locked.key");
    const containers = FORMS.map((form, index) => {
      const arguments_ = ["-export", "-inkey", "own.key", "-in", "own.pem", "-passout", `pass:${PASSWORD}`, "-iter", "1", ...form, "-out", `${index}.p12`];
      openssl.run("pkcs12", ...arguments_);
      return openssl.read(`${index}.p12`);
    });
    const [certificate, key, locked] = ["own.pem", "own.key", "locked.key"].map((name) => Buffer.from(openssl.read(name)).toString("latin1"));
    const texts = [`${certificate}${key}`, `${certificate}${locked}`].map((one) => new TextEncoder().encode(one));
    return { containers, texts };
  } finally {
    openssl.remove();
  }
});

export const credentialTargets: readonly Target[] = [
  {
    name: "pkcs12",
    watched: [/agent\/crypto\/(?:pkcs12|ber|der|credential-file)/],
    // A file asks for rounds of its password check: as many as the reader grants to one file.
    slowMs: 8_000,
    seeds: () => files().containers,
    run: (input) => refusing([CredentialFileError], () => void readCredentialFile(input, PASSWORD, null)),
  },
  {
    name: "pem",
    watched: [/agent\/crypto\/(?:credential-file|certificate)/],
    seeds: () => files().texts,
    run: (input) => {
      refusing([CredentialFileError], () => void readCredentialFile(input, PASSWORD, null));
      refusing([CredentialFileError], () => void readAuthorities(textOf(input)));
    },
  },
];
