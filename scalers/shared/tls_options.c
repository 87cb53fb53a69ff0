#include "shared/tls_options.h"

#include "base/pem.h"

const char *const tls_choices[] = {"disable", "enable", NULL};

void tls_options_check(const struct tls_options *options, struct error *mistakes)
{
    if ((options->cert == NULL) != (options->key == NULL))
        error_add(mistakes, "cert and key go together: %s is missing",
                  options->cert == NULL ? "cert" : "key");
    if (options->key != NULL && pem_key_is_costly(options->key))
        error_add(mistakes, TLS_KEY_IS_COSTLY, PEM_MAX_ITERATIONS);
}
