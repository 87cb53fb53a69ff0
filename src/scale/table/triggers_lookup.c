/* Looks a trigger up by a ref, where the keys of the table are identities: so this file alone has
 * another comparison of keys than uthash. */
#include "scale/table/triggers_internal.h"

/* uthash has compared the lengths before. */
#undef HASH_KEYCMP
#define HASH_KEYCMP(bytes, ref, length) (!identity_is((bytes), (ref)))

struct trigger *triggers_lookup(const struct triggers *triggers, const struct trigger_ref *ref,
                                const struct identity *identity)
{
    struct trigger *trigger;
    HASH_FIND_BYHASHVALUE(hh, triggers->by_identity, ref, identity->length, identity->hash,
                          trigger);
    return trigger;
}
