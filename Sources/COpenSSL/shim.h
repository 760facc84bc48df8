// OpenSSL as Heartwire uses it: libcrypto's keyed hash for the fingerprints of tokens.
#ifndef HEARTWIRE_COPENSSL_H
#define HEARTWIRE_COPENSSL_H

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#endif
