// OpenSSL as Heartwire uses it: libcrypto for the fingerprints and the signatures of tokens, libssl for the links. OpenSSL's
// macros are invisible to Swift, so those that are needed stand here as functions of the same name with `hw_` in front.
#ifndef HEARTWIRE_COPENSSL_H
#define HEARTWIRE_COPENSSL_H

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/ocsp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static inline long hw_SSL_CTX_set_mode(SSL_CTX *context, long mode) { return SSL_CTX_set_mode(context, mode); }
static inline void hw_SSL_CTX_set_house_options(SSL_CTX *context) {
    SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
}
static inline unsigned long hw_XN_FLAG_RFC2253(void) { return XN_FLAG_RFC2253; }
static inline long hw_SSL_CTX_set_session_cache_mode(SSL_CTX *context, long mode) {
    return SSL_CTX_set_session_cache_mode(context, mode);
}
static inline long hw_SSL_CTX_set_min_proto_version(SSL_CTX *context, int version) {
    return SSL_CTX_set_min_proto_version(context, version);
}
static inline long hw_SSL_CTX_set1_groups_list(SSL_CTX *context, const char *groups) {
    return SSL_CTX_set1_groups_list(context, groups);
}
static inline void hw_SSL_CTX_set_read_ahead(SSL_CTX *context, int on) { SSL_CTX_set_read_ahead(context, on); }
static inline void hw_SSL_CTX_set_servername_callback(SSL_CTX *context, int (*callback)(SSL *, int *, void *)) {
    SSL_CTX_set_tlsext_servername_callback(context, callback);
}
static inline void hw_SSL_CTX_set_servername_argument(SSL_CTX *context, void *argument) {
    SSL_CTX_set_tlsext_servername_arg(context, argument);
}
static inline void hw_SSL_CTX_set_status_callback(SSL_CTX *context, int (*callback)(SSL *, void *)) {
    SSL_CTX_set_tlsext_status_cb(context, callback);
}
static inline void hw_SSL_CTX_set_status_argument(SSL_CTX *context, void *argument) {
    SSL_CTX_set_tlsext_status_arg(context, argument);
}
// OpenSSL frees the staple with the connection, so it is given a copy.
static inline int hw_SSL_give_staple(SSL *ssl, const unsigned char *bytes, long count) {
    unsigned char *copy = OPENSSL_memdup(bytes, count);
    return copy != NULL && SSL_set_tlsext_status_ocsp_resp(ssl, copy, count) == 1;
}
static inline int hw_SSL_set_server_name(SSL *ssl, const char *name) { return (int)SSL_set_tlsext_host_name(ssl, name); }
static inline void hw_BIO_clear_retry_flags(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline void hw_BIO_set_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void hw_SSL_CTX_set_ticket_key_callback(
    SSL_CTX *context, int (*callback)(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int)) {
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callback);
}
static inline int hw_SSL_CTX_set_application_data(SSL_CTX *context, void *data) { return SSL_CTX_set_app_data(context, data); }
static inline void *hw_SSL_CTX_get_application_data(const SSL_CTX *context) { return SSL_CTX_get_app_data(context); }
static inline int hw_SSL_set_application_data(SSL *ssl, void *data) { return SSL_set_app_data(ssl, data); }
static inline void *hw_SSL_get_application_data(const SSL *ssl) { return SSL_get_app_data(ssl); }
static inline size_t hw_GENERAL_NAMES_count(const GENERAL_NAMES *names) {
    return names == NULL ? 0 : (size_t)sk_GENERAL_NAME_num(names);
}
static inline const GENERAL_NAME *hw_GENERAL_NAMES_value(const GENERAL_NAMES *names, size_t index) {
    return sk_GENERAL_NAME_value(names, (int)index);
}
static inline size_t hw_X509_STORE_count(const X509_STORE *store) {
    return (size_t)sk_X509_OBJECT_num(X509_STORE_get0_objects(store));
}
static inline const X509 *hw_X509_STORE_certificate(const X509_STORE *store, size_t index) {
    return X509_OBJECT_get0_X509(sk_X509_OBJECT_value(X509_STORE_get0_objects(store), (int)index));
}
static inline size_t hw_X509_chain_count(const STACK_OF(X509) *chain) { return chain == NULL ? 0 : (size_t)sk_X509_num(chain); }
static inline const X509 *hw_X509_chain_certificate(const STACK_OF(X509) *chain, size_t index) {
    return sk_X509_value(chain, (int)index);
}
static inline int hw_EVP_PKEY_PUBLIC_KEY(void) { return EVP_PKEY_PUBLIC_KEY; }
// The builder keeps the pointers to the names, which must not be those of a Swift String's copy.
static inline int hw_OSSL_PARAM_BLD_push_RSA(OSSL_PARAM_BLD *builder, const BIGNUM *modulus, const BIGNUM *exponent) {
    return OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus)
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent);
}
static inline int hw_OSSL_PARAM_BLD_push_point(OSSL_PARAM_BLD *builder, const char *group, const unsigned char *point, size_t count) {
    return OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0)
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, count);
}
static inline int hw_EVP_MAC_key_with_sha256(EVP_MAC_CTX *mac, const unsigned char *key, size_t count) {
    OSSL_PARAM parameters[3];
    parameters[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, count);
    parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
    parameters[2] = OSSL_PARAM_construct_end();
    return EVP_MAC_CTX_set_params(mac, parameters);
}
// HKDF (RFC 5869), both of its steps.
static inline int hw_EVP_KDF_derive_with_sha256(
    EVP_KDF *kdf, const unsigned char *key, size_t key_count, const unsigned char *salt, size_t salt_count, const unsigned char *info,
    size_t info_count, unsigned char *output, size_t output_count) {
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM parameters[5];
    int result;
    if (context == NULL) return 0;
    parameters[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0);
    parameters[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_count);
    parameters[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, salt_count);
    parameters[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_count);
    parameters[4] = OSSL_PARAM_construct_end();
    result = EVP_KDF_derive(context, output, output_count, parameters);
    EVP_KDF_CTX_free(context);
    return result;
}

#endif
