// Makes signed tokens (JWT, RFC 7515) for the benchmark: a key pair, and as many tokens as are asked for, each of another user.
//
//   tokens ALGORITHM COUNT NAME [forged]      ALGORITHM: ES256, ES384, RS256 or EdDSA
//
// writes NAME.pem, the public key, and NAME.tokens, one token a line. With `forged`, a bit of each signature is wrong.
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT = 1024, SIGNATURE = 600 };

static void fail(const char *what) {
    fprintf(stderr, "tokens: %s\n", what);
    exit(1);
}

// Appends base64url without padding (RFC 7515 section 2).
static char *append(char *end, const unsigned char *bytes, size_t count) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t at = 0; at < count; at += 3) {
        const unsigned group = (unsigned)bytes[at] << 16 | (at + 1 < count ? (unsigned)bytes[at + 1] << 8 : 0) | (at + 2 < count ? bytes[at + 2] : 0);
        for (size_t part = 0; part < 4 && at + part <= count; part++) *end++ = letters[group >> (18 - 6 * part) & 63];
    }
    *end = 0;
    return end;
}

static EVP_PKEY *make_key(const char *algorithm) {
    if (!strcmp(algorithm, "ES256")) return EVP_EC_gen("P-256");
    if (!strcmp(algorithm, "ES384")) return EVP_EC_gen("P-384");
    if (!strcmp(algorithm, "RS256")) return EVP_RSA_gen(2048);
    if (!strcmp(algorithm, "EdDSA")) return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    fail("an unknown algorithm");
    return NULL;
}

// The signature as a token has it: of ECDSA the two numbers, each as long as the curve's order.
static size_t sign(EVP_PKEY *key, const char *algorithm, const char *text, unsigned char *signature) {
    const EVP_MD *const digest = !strcmp(algorithm, "EdDSA") ? NULL : !strcmp(algorithm, "ES384") ? EVP_sha384() : EVP_sha256();
    EVP_MD_CTX *const context = EVP_MD_CTX_new();
    size_t count = SIGNATURE;
    if (!context || EVP_DigestSignInit(context, NULL, digest, NULL, key) != 1
        || EVP_DigestSign(context, signature, &count, (const unsigned char *)text, strlen(text)) != 1) fail("cannot sign");
    EVP_MD_CTX_free(context);
    if (algorithm[0] != 'E' || algorithm[1] != 'S') return count;
    const int size = !strcmp(algorithm, "ES384") ? 48 : 32;
    const unsigned char *der = signature;
    ECDSA_SIG *const numbers = d2i_ECDSA_SIG(NULL, &der, (long)count);
    if (!numbers) fail("no signature of ECDSA");
    BN_bn2binpad(ECDSA_SIG_get0_r(numbers), signature, size);
    BN_bn2binpad(ECDSA_SIG_get0_s(numbers), signature + size, size);
    ECDSA_SIG_free(numbers);
    return (size_t)size * 2;
}

static FILE *open_file(const char *name, const char *ending) {
    char path[TEXT];
    snprintf(path, sizeof path, "%s.%s", name, ending);
    FILE *const file = fopen(path, "w");
    if (!file) fail("a file cannot be written");
    return file;
}

int main(int count, char **arguments) {
    if (count != 4 && (count != 5 || strcmp(arguments[4], "forged"))) fail("ALGORITHM COUNT NAME [forged]");
    const char *const algorithm = arguments[1];
    EVP_PKEY *const key = make_key(algorithm);
    FILE *const public = open_file(arguments[3], "pem"), *const tokens = open_file(arguments[3], "tokens");
    if (!key || PEM_write_PUBKEY(public, key) != 1) fail("no key");
    for (long user = 0; user < atol(arguments[2]); user++) {
        char claims[TEXT / 2], text[TEXT + SIGNATURE * 2];
        unsigned char signature[SIGNATURE];
        snprintf(claims, sizeof claims, "{\"alg\":\"%s\",\"typ\":\"at+jwt\"}", algorithm);
        char *end = append(text, (const unsigned char *)claims, strlen(claims));
        *end++ = '.';
        snprintf(claims, sizeof claims,
                 "{\"iss\":\"https://id.bench.example/\",\"aud\":\"https://bench.example\",\"sub\":\"user-%ld\",\"scope\":\"events.read profile\","
                 "\"iat\":%ld,\"exp\":%ld}", user, (long)time(NULL), (long)time(NULL) + 36000);
        end = append(end, (const unsigned char *)claims, strlen(claims));
        const size_t length = sign(key, algorithm, text, signature);
        if (count == 5) signature[length / 2] ^= 1;
        *end++ = '.';
        append(end, signature, length);
        fprintf(tokens, "%s\n", text);
    }
    return fclose(public) || fclose(tokens);
}
