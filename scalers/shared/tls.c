#include "shared/tls.h"

#include "base/memory.h"
#include "shared/tls_key.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

static BIO *bio_of(const char *pem)
{
    return BIO_new_mem_buf(pem, (int)strlen(pem));
}

static void bio_release(BIO **bio)
{
    BIO_free(*bio);
}

/* What is encrypted must not ask for its password on the terminal. */
static int no_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return 0;
}

static bool trust(SSL_CTX *context, const char *ca, struct error *error)
{
    _cleanup_(bio_release) BIO *bio = bio_of(ca);
    int count = 0;
    for (X509 *root; (root = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL; count++) {
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root);
        X509_free(root);
    }
    ERR_clear_error();
    return count > 0 || error_invalid(error, "ca must hold PEM certificates: it has none");
}

static bool show_certificate(SSL_CTX *context, const char *cert, struct error *error)
{
    _cleanup_(bio_release) BIO *bio = bio_of(cert);
    X509 *own = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    bool good = own != NULL && SSL_CTX_use_certificate(context, own) == 1;
    X509_free(own);

    for (X509 *chain; good && (chain = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL;) {
        SSL_CTX_add1_chain_cert(context, chain);
        X509_free(chain);
    }
    ERR_clear_error();
    return good || error_invalid(error, "cert must hold a PEM certificate");
}

static bool use_key(SSL_CTX *context, const struct tls_options *options, struct error *error)
{
    EVP_PKEY *private = tls_key_read(options, error);
    if (private == NULL)
        return false;
    bool good = SSL_CTX_use_PrivateKey(context, private) == 1;
    EVP_PKEY_free(private);
    ERR_clear_error();
    return good || error_invalid(error, "key must be the private key of cert: it is another's");
}

bool tls_configure(SSL_CTX *context, const struct tls_options *options, struct error *error)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_default_verify_paths(context);
    return (options->ca == NULL || trust(context, options->ca, error)) &&
           (options->cert == NULL || show_certificate(context, options->cert, error)) &&
           (options->key == NULL || use_key(context, options, error));
}

bool tls_expect(SSL_CTX *context, const char *host, struct error *error)
{
    X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(context);
    if (X509_VERIFY_PARAM_set1_ip_asc(rules, host) == 1)
        return true;
    ERR_clear_error();
    return X509_VERIFY_PARAM_set1_host(rules, host, 0) == 1 ||
           error_set(error, ERROR_INTERNAL, "OpenSSL does not take the host name");
}
