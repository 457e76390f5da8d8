import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";

/** What is asked of a server that a certificate names. */
export interface WebRequest {
  readonly address: string;
  /** Sent with POST; absent: GET. */
  readonly body?: { readonly type: string; readonly bytes: Uint8Array };
  readonly mostOctets: number;
  readonly timeoutMs: number;
}

const MOST_REDIRECTS = 3;

/** The body of the answer. @throws Error with a clause that names the address and what went wrong. */
export async function fetchFromWeb(request: WebRequest): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(request.timeoutMs);
  let { address } = request;
  for (let hops = 0; hops <= MOST_REDIRECTS; hops++) {
    const answer = await once(address, request, signal);
    if (answer instanceof Uint8Array) return answer;
    address = answer.location;
  }
  throw new Error(`${request.address} leads on and on`);
}

function once(address: string, { body, mostOctets, timeoutMs }: WebRequest, signal: AbortSignal): Promise<Uint8Array | { location: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array | { location: string }>();
  const fail = (error: Error): void =>
    reject(new Error(signal.aborted ? `${address} did not answer within ${timeoutMs / 1_000} s` : `${address} cannot be reached (${error.message})`));
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new Error(`${address} is no address`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new Error(`${address} is not on the web`);
  const headers = body === undefined ? {} : { "content-type": body.type, "content-length": body.bytes.length };
  const send = url.protocol === "https:" ? httpsRequest : httpRequest;
  const sent = send(url, { method: body === undefined ? "GET" : "POST", headers, signal, agent: false }, (answer) => {
    const { statusCode = 0, headers: given } = answer;
    if (statusCode >= 300 && statusCode < 400 && given.location !== undefined && body === undefined) {
      answer.resume();
      // The server's word: a throw from here would end the process.
      const location = URL.parse(given.location, url)?.href;
      if (location === undefined) reject(new Error(`${address} leads to no address`));
      else resolve({ location });
      return;
    }
    if (statusCode !== 200) {
      answer.resume();
      reject(new Error(`${address} answered with ${statusCode}`));
      return;
    }
    const parts: Buffer[] = [];
    let octets = 0;
    answer.on("data", (part: Buffer) => {
      octets += part.length;
      parts.push(part);
      if (octets > mostOctets) {
        reject(new Error(`${address} sends more than ${mostOctets} octets`));
        sent.destroy();
      }
    });
    answer.on("end", () => {
      const whole = Buffer.concat(parts);
      resolve(new Uint8Array(whole.buffer, whole.byteOffset, whole.length));
    });
    answer.on("error", fail);
  });
  sent.on("error", fail);
  sent.end(body?.bytes);
  return promise;
}
