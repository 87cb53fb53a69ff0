#include "web/http/web_instance.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>

/* The key of hashes is random and of this process, and a hash does not disclose it. */
const char *web_instance(char ret_text[WEB_INSTANCE_BYTES])
{
    snprintf(ret_text, WEB_INSTANCE_BYTES, "%016" PRIx64, hash_text("web instance"));
    return ret_text;
}
