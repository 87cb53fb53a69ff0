#include "base/tls_name.h"

#include "base/memory.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <string.h>

void tls_expect_name(SSL *session, const char *name)
{
    unsigned char ip[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name);
        return;
    }
    size_t length = strlen(name);
    _cleanup_(memory_free) char *host =
        text_copy_bytes(name, length > 1 && name[length - 1] == '.' ? length - 1 : length);
    SSL_set_tlsext_host_name(session, host);
    SSL_set1_host(session, host);
}
