#include "scale/trigger/trigger_peers.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/url.h"
#include "scale/metadata/general.h"
#include "scale/trigger/trigger_objects.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

static void add_text(EVP_MD_CTX *digest, const char *text, size_t length)
{
    uint8_t prefix[8];
    for (size_t i = 0; i < sizeof(prefix); i++)
        prefix[i] = (uint8_t)((uint64_t)length >> 8 * i);
    EVP_DigestUpdate(digest, prefix, sizeof(prefix));
    EVP_DigestUpdate(digest, text, length);
}

/* Of a URL what comes after the user and password, where that is certain. */
static void add_urls(EVP_MD_CTX *digest, const struct option *row, const char *urls)
{
    size_t length = 0;
    for (const char *url;
         (url = text_next_piece(&urls, option_separators(row), &length)) != NULL;) {
        struct url_places places = url_find(url, length);
        size_t path = strcspn(url + places.host, "?#");
        if (!places.is_ambiguous)
            add_text(digest, url + places.host, MIN(path, length - places.host));
    }
}

/* What of a value tells triggers apart and is no secret. */
static void add_value(EVP_MD_CTX *digest, const struct option_entry *entry,
                      const struct option *table)
{
    const struct option *row = option_find(table, entry->key, OPTION_FROM_TRIGGER);
    if (row == NULL)
        row = option_find(general_table, entry->key, OPTION_FROM_TRIGGER);
    bool is_secret = row == NULL || option_is_variable(entry->key) || row->flags & OPTION_SECRET ||
                     option_is_credential(row);
    const char *text = entry->value;
    if (row != NULL && row->flags & OPTION_URL && !option_is_variable(entry->key))
        add_urls(digest, row, text);
    else if (!is_secret)
        add_text(digest, text, strlen(text));
}

/* Which trigger it is, without its secrets: two that differ only in these have the same. */
static void digest_ref(const struct trigger_ref *ref, const struct option *table,
                       uint8_t ret_digest[PEER_DIGEST_BYTES])
{
    uint8_t whole[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    if (digest == NULL || EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
        abort();
    add_text(digest, ref->namespace, strlen(ref->namespace));
    add_text(digest, ref->name, strlen(ref->name));
    for (size_t i = 0; i < ref->count; i++) {
        add_text(digest, ref->entries[i].key, strlen(ref->entries[i].key));
        add_value(digest, &ref->entries[i], table);
    }
    EVP_DigestFinal_ex(digest, whole, NULL);
    EVP_MD_CTX_free(digest);
    memcpy(ret_digest, whole, PEER_DIGEST_BYTES);
}

/* It stays, as the metadata do. */
static const uint8_t *digest_of(struct trigger *trigger)
{
    if (trigger->has_peer_digest)
        return trigger->peer_digest;
    struct trigger_ref ref = identity_ref(&trigger->identity);
    digest_ref(&ref, trigger->parsed.scaler->options, trigger->peer_digest);
    free(ref.entries);
    trigger->has_peer_digest = true;
    return trigger->peer_digest;
}

static void add_policy_peaks(struct trigger *trigger, const struct policy_peaks *peaks,
                             int64_t now_ms)
{
    struct trigger_policy *policy = trigger->policy;
    if (policy == NULL || peaks->count == 0)
        return;
    trigger_unfollow(trigger);
    trigger_policy_add_peaks(policy, peaks, now_ms);
    trigger_follow(trigger);
}

void trigger_peers_take(struct trigger *trigger, struct peer_values *values, int64_t now_ms)
{
    uint64_t revision = values == NULL ? 0 : peer_values_revision(values);
    if (values == NULL || trigger->parsed.scaler == NULL ||
        trigger->answers.peers_revision == revision)
        return;
    _cleanup_(memory_free) struct peer_value *value = peer_values_take(values, digest_of(trigger));
    trigger->answers.peers_revision = revision;
    if (value == NULL)
        return;
    hold_take(&trigger->answers.hold, &value->held, now_ms);
    add_policy_peaks(trigger, &value->policy_peaks, now_ms);
}

/* Its own, of now, and while they count larger ones of others, with their age: nobody makes them
 * younger. */
static struct policy_peaks policy_peaks_of(const struct policy_peak *peak, int64_t hold_ms,
                                           int64_t now_ms)
{
    const struct peak own = {.value = (double)peak->own, .at_ms = now_ms};
    struct policy_peaks peaks = peak->of_peers;
    peaks.count = peaks_drop(peaks.items, peaks.count, now_ms - hold_ms);
    peaks.count =
        peaks_merge(peaks.items, peaks.count, POLICY_MAX_PEAKS, &own, peak->own > 0 ? 1 : 0);
    return peaks;
}

static struct policy_peaks policy_peaks_of_trigger(const struct trigger *trigger, int64_t now_ms)
{
    _cleanup_(snapshot_done) struct snapshot snapshot = {0};
    _cleanup_(trigger_policy_copy_done) struct trigger_policy_copy policy = {0};
    if (trigger->policy == NULL)
        return (struct policy_peaks){0};
    trigger_observe(trigger, false, &snapshot, &policy);
    return policy_peaks_of(&policy.peak, trigger->parsed.rules.hold_ms, now_ms);
}

/* Other credentials may be wrong: that is an error to be seen. But where the former one has lost
 * its connection, which has another name now, say, its source is all that is known of it. */
static bool have_one_connection(const struct trigger *trigger, const struct trigger *other)
{
    if (other->bound.query == NULL)
        return trigger->bound.source == other->bound.source;
    return text_equal(trigger->parsed.values[OPTION_CONNECTION]->identity,
                      other->parsed.values[OPTION_CONNECTION]->identity);
}

/* Whatever their thresholds are. A policy's value is of replicas. */
static bool count_the_same(const struct trigger *trigger, const struct trigger *other)
{
    return other->bound.source != 0 && trigger->parsed.scaler == other->parsed.scaler &&
           (trigger->policy == NULL) == (other->policy == NULL) &&
           have_one_connection(trigger, other) &&
           text_equal(trigger->parsed.values[OPTION_QUERY]->identity,
                      other->parsed.values[OPTION_QUERY]->identity);
}

/* The object's triggers that were called for last: a caller can invent many. */
enum { MAX_OTHERS = 16 };

void trigger_peers_take_hold(struct trigger *trigger, int64_t now_ms)
{
    struct held held;
    const struct trigger *other = trigger;
    if (trigger->answers.hold.is_own)
        return;
    for (int i = 0; i < MAX_OTHERS && other != trigger->object->triggers; i++) {
        other = other->prev_of_object;
        if (count_the_same(trigger, other) && hold_give(&other->answers.hold, now_ms, &held))
            hold_take(&trigger->answers.hold, &held, now_ms);
    }
}

void trigger_peers_take_peaks(struct trigger *trigger, int64_t now_ms)
{
    const struct trigger *other = trigger;
    for (int i = 0; i < MAX_OTHERS && other != trigger->object->triggers; i++) {
        other = other->prev_of_object;
        if (trigger_objects_are_siblings(other, now_ms))
            continue;
        const struct policy_peaks peaks = policy_peaks_of_trigger(other, now_ms);
        add_policy_peaks(trigger, &peaks, now_ms);
    }
}

bool trigger_peers_give(struct trigger *trigger, int64_t now_ms, struct peer_value *ret_value)
{
    const struct hold *hold = &trigger->answers.hold;
    int64_t hold_ms = trigger->parsed.rules.hold_ms;
    if (trigger->bound.query == NULL || hold_ms == 0 ||
        now_ms - hold_since_ms(hold, now_ms) > hold_ms ||
        !hold_give(hold, now_ms, &ret_value->held))
        return false;
    ret_value->policy_peaks = policy_peaks_of_trigger(trigger, now_ms);
    memcpy(ret_value->digest, digest_of(trigger), PEER_DIGEST_BYTES);
    return true;
}
