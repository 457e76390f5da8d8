/*
 * The one optional native function: OpenSSL's five calls for each packet of a batch, so that a batch crosses from JavaScript once.
 * It parses nothing: every length and address was made and checked by ffi/aead-batch.ts, whose offsets mirror struct job. The EVP
 * functions are those of the Node process that loads this, so no OpenSSL headers are needed and there is no second libcrypto.
 */
#include <stdint.h>

extern int EVP_CipherInit_ex(void *context, const void *cipher, void *engine, const uint8_t *key, const uint8_t *iv, int encrypt);
extern int EVP_CipherUpdate(void *context, uint8_t *out, int *out_octets, const uint8_t *in, int octets);
extern int EVP_CipherFinal_ex(void *context, uint8_t *out, int *out_octets);
extern int EVP_CIPHER_CTX_ctrl(void *context, int type, int argument, void *pointer);

enum { GET_TAG = 0x10, SET_TAG = 0x11 };

struct job {
  void *context;
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

/* Returns how many of the jobs failed. */
int culvert_aead_batch(struct job *jobs, int count, int seals) {
  int failed = 0;
  for (int i = 0; i < count; i++) {
    jobs[i].done = (uint32_t)carry_out(&jobs[i], seals);
    failed += jobs[i].done ? 0 : 1;
  }
  return failed;
}
