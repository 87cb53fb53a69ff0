#include "rabbitmq/management/pattern.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MAX_STEPS = 10 * 1000, /* for one name, which take 0.2 ms; usual patterns need hundreds */
    MAX_HEAP_KIB = 1024,
    MAX_MESSAGE = 256, /* PCRE's own have at most 120 bytes */
};

struct rabbitmq_pattern {
    pcre2_code *code;
};

struct rabbitmq_matcher {
    pcre2_match_context *limits;
    pcre2_match_data *data;
};

static void *allocate(size_t size, void *unused)
{
    (void)unused;
    return memory_new(size);
}

static void release(void *memory, void *unused)
{
    (void)unused;
    free(memory);
}

/* {,2} and {1, 2} are quantifiers in PCRE2, and stand for themselves in PCRE 8. */
static bool has_ambiguous_braces(const char *text)
{
    for (const char *at = strchr(text, '{'); at != NULL; at = strchr(at + 1, '{')) {
        size_t length = strspn(at + 1, "0123456789, \t");
        bool is_quantifier = at[1 + length] == '}' && strcspn(at, "0123456789") <= length;
        bool is_of_both = strcspn(at, " \t") > length && at[1] != ',';
        if (is_quantifier && !is_of_both && (at == text || at[-1] != '\\'))
            return true;
    }
    return false;
}

bool rabbitmq_pattern_compile(const char *text, struct rabbitmq_pattern **ret_pattern,
                              struct error *error)
{
    int code;
    size_t offset;
    if (has_ambiguous_braces(text))
        return error_invalid(error,
                             "must have no {,n} and no blank in braces: versions of RabbitMQ "
                             "differ in what they mean. Write {0,n}");
    /* These are the broker's. A distribution may have built the library with other defaults. */
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_bsr(context, PCRE2_BSR_UNICODE);
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                      PCRE2_CASELESS | PCRE2_NEVER_BACKSLASH_C, &code, &offset, context);
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    if (compiled == NULL) {
        PCRE2_UCHAR message[MAX_MESSAGE] = "";
        pcre2_get_error_message(code, message, sizeof(message));
        return error_invalid(error, "is not a regular expression of PCRE: %s (at byte %zu)",
                             (const char *)message, offset);
    }
    *ret_pattern = memory_new(sizeof(**ret_pattern));
    (*ret_pattern)->code = compiled;
    return true;
}

void rabbitmq_pattern_free(struct rabbitmq_pattern **pattern)
{
    if (*pattern == NULL)
        return;
    pcre2_code_free((*pattern)->code);
    free(TAKE(*pattern));
}

struct rabbitmq_matcher *rabbitmq_matcher_new(void)
{
    struct rabbitmq_matcher *matcher = memory_new(sizeof(*matcher));
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    matcher->limits = pcre2_match_context_create(memory);
    matcher->data = pcre2_match_data_create(1, memory); /* what is matched is of no interest */
    pcre2_general_context_free(memory);
    pcre2_set_match_limit(matcher->limits, MAX_STEPS);
    pcre2_set_heap_limit(matcher->limits, MAX_HEAP_KIB);
    return matcher;
}

void rabbitmq_matcher_free(struct rabbitmq_matcher **matcher)
{
    pcre2_match_data_free((*matcher)->data);
    pcre2_match_context_free((*matcher)->limits);
    free(TAKE(*matcher));
}

bool rabbitmq_pattern_match(const struct rabbitmq_pattern *pattern,
                            struct rabbitmq_matcher *matcher, const char *name, size_t length,
                            bool *ret_matches, struct error *error)
{
    int result =
        pcre2_match(pattern->code, (PCRE2_SPTR)name, length, 0, 0, matcher->data, matcher->limits);
    *ret_matches = result >= 0;
    if (result >= 0 || result == PCRE2_ERROR_NOMATCH)
        return true;
    PCRE2_UCHAR message[MAX_MESSAGE] = "";
    pcre2_get_error_message(result, message, sizeof(message));
    return error_unavailable(error,
                             "matching its name takes too long (PCRE: %s): write the pattern "
                             "without a repetition in a repetition",
                             (const char *)message);
}
