/*
 * What must hold whatever a fuzzer gives: else it aborts, and libFuzzer keeps what led there.
 */
#ifndef BACKLOG_TEST_FUZZ_REQUIRE_H
#define BACKLOG_TEST_FUZZ_REQUIRE_H

#include "base/error.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static inline void require(bool holds)
{
    if (!holds)
        abort();
}

static inline void require_text(const char *text)
{
    require(text_is_utf8(text, strlen(text)));
}

/* Of a function that fails with an error in words. */
static inline void require_error(bool good, const struct error *error)
{
    require(good == !error_is_set(error) && error->code <= ERROR_INTERNAL);
    require_text(error_text(error));
}

#endif
