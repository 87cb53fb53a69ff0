#include "nats_jetstream/client/refusal.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* The server writes it with %q of Go: a backslash before a quote or another backslash. What Go does
 * not print (\t, \x01, \u00a0) is not decoded: such a subject is not recognized. */
static char *unquoted(const char *quoted, bool *ret_is_cut)
{
    struct text subject = {0};
    for (; *quoted != '\0' && *quoted != '"'; quoted++) {
        if (*quoted == '\\')
            quoted++;
        if (*quoted == '\0')
            break;
        text_add_bytes(&subject, quoted, 1);
    }
    *ret_is_cut = *quoted == '\0';
    return text_take(&subject);
}

struct nats_refusal nats_refusal_parse(const char *words)
{
    struct nats_refusal refusal = {
        .words = text_copy(words),
        .is_of_subscription = strstr(words, " Subscription to ") != NULL,
    };
    const char *quote = strchr(words, '"');
    if (quote != NULL)
        refusal.subject = unquoted(quote + 1, &refusal.is_cut);
    return refusal;
}

void nats_refusal_done(struct nats_refusal *refusal)
{
    free(refusal->words);
    free(refusal->subject);
}

bool nats_refusal_is_of(const struct nats_refusal *refusal, const char *subject)
{
    if (refusal->subject == NULL)
        return false;
    return refusal->is_cut ? text_starts_with(subject, refusal->subject)
                           : text_equal(subject, refusal->subject);
}
