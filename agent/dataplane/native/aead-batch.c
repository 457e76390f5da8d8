/*
 * The one optional native function: the calls for each packet of a batch, so that a batch crosses from JavaScript once. They are
 * OpenSSL's five, or the one of the library that a job names (ffi/gcm-library.ts). It parses nothing: every length and address was
 * made and checked by ffi/aead-batch.ts, whose offsets mirror struct job. The EVP functions are those of the Node process that loads
 * this, so no OpenSSL headers are needed and there is no second libcrypto.
 */
#include <stdint.h>
#include <string.h>

extern int EVP_CipherInit_ex(void *context, const void *cipher, void *engine, const uint8_t *key, const uint8_t *iv, int encrypt);
extern int EVP_CipherUpdate(void *context, uint8_t *out, int *out_octets, const uint8_t *in, int octets);
extern int EVP_CipherFinal_ex(void *context, uint8_t *out, int *out_octets);
extern int EVP_CIPHER_CTX_ctrl(void *context, int type, int argument, void *pointer);
extern int CRYPTO_memcmp(const void *a, const void *b, unsigned long octets);

enum { GET_TAG = 0x10, SET_TAG = 0x11 };

/* aes_gcm_enc_* and aes_gcm_dec_* of intel-ipsec-mb.h. */
typedef void gcm_function(const void *key, void *context, uint8_t *out, const uint8_t *in, uint64_t octets, const uint8_t *nonce,
                          const uint8_t *aad, uint64_t aad_octets, uint8_t *tag, uint64_t tag_octets);

struct job {
  void *context; /* EVP_CIPHER_CTX, or the expanded key of `gcm` */
  gcm_function *gcm; /* 0: OpenSSL */
  uint8_t *text;
  uint8_t *icv;
  uint32_t text_octets;
  uint32_t aad_octets;
  uint32_t icv_octets;
  uint32_t done; /* out: 1 when every call succeeded, which for opening means that the ICV is right */
  uint8_t nonce[16];
  uint8_t aad[16];
};

static int carry_out(struct job *job, int seals) {
  uint8_t rest[32];
  int octets;
  return EVP_CipherInit_ex(job->context, 0, 0, 0, job->nonce, seals) == 1 &&
         (seals || EVP_CIPHER_CTX_ctrl(job->context, SET_TAG, (int)job->icv_octets, job->icv) == 1) &&
         EVP_CipherUpdate(job->context, 0, &octets, job->aad, (int)job->aad_octets) == 1 &&
         EVP_CipherUpdate(job->context, job->text, &octets, job->text, (int)job->text_octets) == 1 &&
         EVP_CipherFinal_ex(job->context, rest, &octets) == 1 &&
         (!seals || EVP_CIPHER_CTX_ctrl(job->context, GET_TAG, (int)job->icv_octets, job->icv) == 1);
}

enum { GCM_CONTEXT_OCTETS = 128 };

static int carry_out_at_once(struct job *job, int seals, uint8_t *scratch) {
  uint8_t computed[16];
  job->gcm(job->context, scratch, job->text, job->text, job->text_octets, job->nonce, job->aad, job->aad_octets,
           seals ? job->icv : computed, job->icv_octets);
  return seals || CRYPTO_memcmp(computed, job->icv, job->icv_octets) == 0;
}

/* Far enough ahead that memory has answered when its turn comes. */
enum { AHEAD = 4, CACHE_LINE_OCTETS = 64 };

/*
 * Returns how many of the jobs failed. `key_octets`: of an expanded key; where each packet has an SA of its own no key is in a cache when its turn
 * comes, and is fetched beforehand. The name ends in the number of what it takes: an earlier function is not found.
 */
int culvert_aead_batch_3(struct job *jobs, int count, int seals, int key_octets) {
  uint8_t scratch[GCM_CONTEXT_OCTETS] __attribute__((aligned(64)));
  int failed = 0;
  for (int i = 0; i < count; i++) {
    /* Not in a function of its own: what has no effect but this a compiler leaves out. */
    if (i + AHEAD < count) {
      const struct job *later = &jobs[i + AHEAD];
      if (later->gcm && later->context != later[-1].context)
        for (int at = 0; at < key_octets; at += CACHE_LINE_OCTETS) __builtin_prefetch((const uint8_t *)later->context + at);
    }
    jobs[i].done = (uint32_t)(jobs[i].gcm ? carry_out_at_once(&jobs[i], seals, scratch) : carry_out(&jobs[i], seals));
    failed += jobs[i].done ? 0 : 1;
  }
  /* The library leaves the nonce there, and the key stream of a last block that was not whole. */
  explicit_bzero(scratch, sizeof scratch);
  return failed;
}
