import koffi from "koffi";

/*
 * Every libc and libcrypto function that the data plane calls, found in the process itself: Node exports the OpenSSL that it is
 * linked with, so there is no second one. Pointers are declared as integers and passed as addresses into an Arena: that is the
 * cheapest call koffi makes (40–125 ns), and nothing the collector could move or free is involved.
 */
const self = koffi.load(null);

/** The errno of the last call; read it at once. */
export function errno(): number {
  return koffi.errno();
}

export const Errno = {
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  EACCES: 13,
  EINVAL: 22,
  EMSGSIZE: 90,
  EADDRINUSE: 98,
  EBADFD: 77,
  ENOTSOCK: 88,
  ENOBUFS: 105,
  EPERM: 1,
  EBUSY: 16,
} as const;

export const libc = {
  open: self.func("int open(const char *path, int flags)"),
  close: self.func("int close(int fd)"),
  dup3: self.func("int dup3(int from, int to, int flags)"),
  read: self.func("intptr_t read(int fd, uintptr_t buffer, size_t length)"),
  write: self.func("intptr_t write(int fd, uintptr_t buffer, size_t length)"),
  writev: self.func("intptr_t writev(int fd, uintptr_t iov, int count)"),
  // ioctl is variadic; its one argument is always a pointer here and goes where a fixed one would.
  ioctl: self.func("int ioctl(int fd, unsigned long request, uintptr_t argument)"),
  poll: self.func("int poll(uintptr_t descriptors, unsigned long count, int timeout)"),
  socket: self.func("int socket(int domain, int type, int protocol)"),
  socketpair: self.func("int socketpair(int domain, int type, int protocol, uintptr_t pair)"),
  bind: self.func("int bind(int fd, uintptr_t address, uint32_t length)"),
  connect: self.func("int connect(int fd, uintptr_t address, uint32_t length)"),
  getsockname: self.func("int getsockname(int fd, uintptr_t address, uintptr_t length)"),
  setsockopt: self.func("int setsockopt(int fd, int level, int name, uintptr_t value, uint32_t length)"),
  sendto: self.func("intptr_t sendto(int fd, uintptr_t data, size_t length, int flags, uintptr_t address, uint32_t addressLength)"),
  recv: self.func("intptr_t recv(int fd, uintptr_t buffer, size_t length, int flags)"),
  sendmsg: self.func("intptr_t sendmsg(int fd, uintptr_t message, int flags)"),
  sendmmsg: self.func("int sendmmsg(int fd, uintptr_t messages, uint32_t count, int flags)"),
  recvmmsg: self.func("int recvmmsg(int fd, uintptr_t messages, uint32_t count, int flags, uintptr_t timeout)"),
  eventfd: self.func("int eventfd(uint32_t initial, int flags)"),
  schedSetScheduler: self.func("int sched_setscheduler(int thread, int policy, uintptr_t parameters)"),
  gettid: self.func("int gettid()"),
  ifIndexToName: self.func("uintptr_t if_indextoname(uint32_t index, uintptr_t name)"),
  setns: self.func("int setns(int fd, int kind)"),
};

export const crypto = {
  cipherContextNew: self.func("uintptr_t EVP_CIPHER_CTX_new()"),
  cipherContextFree: self.func("void EVP_CIPHER_CTX_free(uintptr_t context)"),
  cipherByName: self.func("uintptr_t EVP_get_cipherbyname(const char *name)"),
  cipherInit: self.func("int EVP_CipherInit_ex(uintptr_t context, uintptr_t cipher, uintptr_t engine, uintptr_t key, uintptr_t iv, int encrypt)"),
  // Those of one direction have an argument less, and with a cipher of 0 they only set the IV and the parameters.
  encryptInit: self.func("int EVP_EncryptInit(uintptr_t context, uintptr_t cipher, uintptr_t key, uintptr_t iv)"),
  decryptInit: self.func("int EVP_DecryptInit_ex2(uintptr_t context, uintptr_t cipher, uintptr_t key, uintptr_t iv, uintptr_t parameters)"),
  cipherGetParameters: self.func("int EVP_CIPHER_CTX_get_params(uintptr_t context, uintptr_t parameters)"),
  // Update without, and final with, no input, in one function of fewer arguments; of an AEAD cipher it returns the octets processed, or a negative number.
  cipherProcess: self.func("int EVP_Cipher(uintptr_t context, uintptr_t out, uintptr_t in, uint32_t length)"),
  cipherUpdate: self.func("int EVP_CipherUpdate(uintptr_t context, uintptr_t out, uintptr_t outLength, uintptr_t in, int length)"),
  cipherControl: self.func("int EVP_CIPHER_CTX_ctrl(uintptr_t context, int type, int argument, uintptr_t pointer)"),
  cipherSetPadding: self.func("int EVP_CIPHER_CTX_set_padding(uintptr_t context, int padding)"),
  macFetch: self.func("uintptr_t EVP_MAC_fetch(uintptr_t library, const char *name, uintptr_t properties)"),
  macFree: self.func("void EVP_MAC_free(uintptr_t mac)"),
  macContextNew: self.func("uintptr_t EVP_MAC_CTX_new(uintptr_t mac)"),
  macContextFree: self.func("void EVP_MAC_CTX_free(uintptr_t context)"),
  macInit: self.func("int EVP_MAC_init(uintptr_t context, uintptr_t key, size_t keyLength, uintptr_t parameters)"),
  macUpdate: self.func("int EVP_MAC_update(uintptr_t context, uintptr_t data, size_t length)"),
  macFinal: self.func("int EVP_MAC_final(uintptr_t context, uintptr_t out, uintptr_t outLength, size_t outSize)"),
  compare: self.func("int CRYPTO_memcmp(uintptr_t a, uintptr_t b, size_t length)"),
  randomBytes: self.func("int RAND_bytes(uintptr_t buffer, int length)"),
};

/** How a library is asked for functions that it may not have: koffi throws where these answer 0. */
export const loader = {
  NOW: 2,
  open: self.func("uintptr_t dlopen(const char *file, int flags)"),
  symbol: self.func("uintptr_t dlsym(uintptr_t library, const char *name)"),
} as const;

/** Carries out `count` jobs at an address, whose keys of a `GcmLibrary` have so many octets once they are expanded, and returns how many failed: see aead-batch.ts. */
export type NativeBatch = (jobs: number, count: number, seals: 0 | 1, keyOctets: number) => number;

const BATCH_NAME = "culvert_aead_batch_3";

/** Null when it takes something else, as that of an earlier set-up does. @throws Error when the file is no library that this process can load. */
export function loadNativeBatch(file: string): NativeBatch | null {
  const library = koffi.load(file);
  return loader.symbol(loader.open(file, loader.NOW), BATCH_NAME) === 0
    ? null
    : library.func(`int ${BATCH_NAME}(uintptr_t jobs, int count, int seals, int keyOctets)`);
}

/** libc's memset over no octets returns the address of the array it was given: how an address is learned from JavaScript. */
const addressOf = self.func("uintptr_t memset(uint8_t *buffer, int value, size_t length)");

/** The address of memory that cannot move: the caller guarantees that (see Arena). */
export function addressOfFixed(bytes: Uint8Array): number {
  return addressOf(bytes, 0, 0);
}
