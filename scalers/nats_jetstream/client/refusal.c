#include "nats_jetstream/client/refusal.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct nats_refusal nats_refusal_parse(const char *words)
{
    struct nats_refusal refusal = {
        .words = text_copy(words),
        .is_of_subscription = strstr(words, " Subscription to ") != NULL,
    };
    const char *quote = strchr(words, '"');
    if (quote != NULL) {
        size_t length = strcspn(quote + 1, "\"");
        refusal.is_cut = quote[1 + length] == '\0';
        refusal.subject = text_copy_bytes(quote + 1, length);
    }
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
