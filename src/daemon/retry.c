#include "daemon/retry.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>

bool retry_is_due(struct retry *retry, bool has_changed, int64_t now_ms)
{
    if (has_changed)
        retry_done(retry);
    return has_changed || (retry->failure != NULL && retry->due_ms <= now_ms);
}

void retry_failed(struct retry *retry, const struct error *error, const char *stays, int64_t due_ms)
{
    if (!text_equal(retry->failure, error_text(error)))
        log_error("%s; %s", error_text(error), stays);
    retry_done(retry);
    *retry = (struct retry){text_copy(error_text(error)), due_ms};
}

void retry_done(struct retry *retry)
{
    free(TAKE(retry->failure));
}
