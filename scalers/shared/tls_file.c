#include "shared/tls_file.h"

#include "base/memory.h"
#include "base/pem.h"
#include "base/system/memory_file.h"
#include "base/text.h"
#include "shared/tls_key.h"

#include <string.h>

/* Libraries take the first key: `cert` may hold one, too. */
int tls_file_open(const struct tls_options *options, struct error *error)
{
    if (!pem_has_certificates(options->cert)) {
        error_invalid(error, "cert must hold PEM certificates: it has none, or a broken one");
        return -1;
    }
    _cleanup_(memory_free) char *key = tls_key_plain(options, error);
    if (key == NULL)
        return -1;
    _cleanup_(memory_free) char *both = text_format("%s\n%s", key, options->cert);
    return memory_file_open("cert and key", both, strlen(both), error);
}
