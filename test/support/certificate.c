#include "support/certificate.h"

#include "base/memory.h"
#include "base/text.h"
#include "support/file.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static X509 *make(EVP_PKEY *key)
{
    X509 *made = X509_new();
    X509_NAME *name = X509_get_subject_name(made);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:tester");
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -60);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(made, name);
    X509_set_pubkey(made, key);
    X509_add_ext(made, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    return made;
}

static char *text_of(BIO *bio)
{
    char *bytes = NULL;
    long length = BIO_get_mem_data(bio, &bytes);
    return text_copy_bytes(bytes, (size_t)length);
}

void certificate_make(struct certificate *certificate)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *made = make(key);
    BIO *pem = BIO_new(BIO_s_mem());
    BIO *key_pem = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(pem, made);
    PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL);
    certificate->pem = text_of(pem);
    certificate->key_pem = text_of(key_pem);
    BIO_free(pem);
    BIO_free(key_pem);
    X509_free(made);
    EVP_PKEY_free(key);

    snprintf(certificate->folder, sizeof(certificate->folder), "/tmp/backlog-certificate-XXXXXX");
    assert_non_null(mkdtemp(certificate->folder));
    snprintf(certificate->path, sizeof(certificate->path), "%s/own.pem", certificate->folder);
    snprintf(certificate->key_path, sizeof(certificate->key_path), "%s/own.key",
             certificate->folder);
    write_file(certificate->path, certificate->pem);
    write_file(certificate->key_path, certificate->key_pem);
}

void certificate_remove(struct certificate *certificate)
{
    unlink(certificate->path);
    unlink(certificate->key_path);
    rmdir(certificate->folder);
    free(TAKE(certificate->pem));
    free(TAKE(certificate->key_pem));
}
