#include "config/option.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/url.h"
#include "config/value.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void option_entries_free(struct option_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((char *)entries[i].key);
        free((char *)entries[i].value);
    }
    free(entries);
}

/* The longest part of a key or a value from outside that an error repeats. */
enum { LONGEST_SHOWN = 64 };

/* How many unknown keys are reported by name, and how many of them with the nearest known one,
 * which takes time to find. */
enum { MAX_UNKNOWN_REPORTED = 16, MAX_UNKNOWN_COMPARED = 3 };

/* A text found for a row, and whether an error may repeat it. */
struct found_text {
    const char *value;
    bool show;
};

/* The field that any row's value can be read into, to see whether it can be read. */
union any_field {
    const char *string;
    bool truth;
    int64_t integer;
    double number;
    int choice;
    struct option_list list;
    struct option_ranges ranges;
};

static const struct option no_options = {0};

size_t option_count(const struct option *table)
{
    size_t count = 0;
    while (table[count].key != NULL)
        count++;
    if (count > OPTION_MAX_ROWS)
        abort(); /* a table of ours, so the first test of it fails */
    return count;
}

/* NULL: it has none, or entries from there must not use it. */
static const char *alias_of(const struct option *row, enum option_origin origin)
{
    bool counts = origin == OPTION_FROM_FILE || !(row->flags & OPTION_ALIAS_IN_FILE);
    return counts ? row->alias : NULL;
}

static bool has_name(const struct option *row, const char *key, enum option_origin origin)
{
    const char *alias = alias_of(row, origin);
    return text_equal(row->key, key) || (alias != NULL && text_equal(alias, key));
}

static const struct option *find_plain(const struct option *table, const char *key,
                                       enum option_origin origin)
{
    for (const struct option *row = table; row->key != NULL; row++)
        if (has_name(row, key, origin))
            return row;
    return NULL;
}

bool option_is_variable(const char *key)
{
    return text_ends_with(key, OPTION_VARIABLE_SUFFIX);
}

const struct option *option_find(const struct option *table, const char *key,
                                 enum option_origin origin)
{
    const struct option *row = find_plain(table, key, origin);
    if (row != NULL || origin == OPTION_FROM_FILE || !option_is_variable(key))
        return row;
    _cleanup_(memory_free) char *plain =
        text_copy_bytes(key, strlen(key) - strlen(OPTION_VARIABLE_SUFFIX));
    return find_plain(table, plain, origin);
}

/* The value of the key that is `name`, followed by `suffix`. NULL: there is none, or no `name`. */
static const char *entry_value(const struct option_entry *entries, size_t count, const char *name,
                               const char *suffix)
{
    if (name == NULL)
        return NULL;
    size_t length = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (strncmp(entries[i].key, name, length) == 0 &&
            text_equal(entries[i].key + length, suffix) && !text_is_blank(entries[i].value))
            return entries[i].value;
    return NULL;
}

/* KEDA's order: the metadata under every name of the key, then the variable. Empty counts as
 * absent. */
static struct found_text look_up(const struct option *row, const struct option_input *input)
{
    const struct option_entry *entries = input->entries;
    size_t count = input->count;
    enum option_origin origin = input->origin;
    const char *alias = alias_of(row, origin);
    const char *value = entry_value(entries, count, row->key, "");
    if (value == NULL)
        value = entry_value(entries, count, alias, "");
    bool show = !(row->flags & OPTION_NEVER_SHOWN) && row->type != OPTION_UNSUPPORTED;
    if (origin == OPTION_FROM_CREDENTIALS)
        return (struct found_text){value, value == NULL && show};
    if (value != NULL || origin == OPTION_FROM_FILE)
        return (struct found_text){value, show};

    value = entry_value(entries, count, row->key, OPTION_VARIABLE_SUFFIX);
    if (value == NULL)
        value = entry_value(entries, count, alias, OPTION_VARIABLE_SUFFIX);
    return (struct found_text){value, value == NULL && show};
}

static void add_wrong_value(struct error *error, const struct option *row, struct found_text found,
                            const struct error *why)
{
    if (found.show)
        error_add(error, "%s \"%.*s\" %s", row->key, (int)text_cut(found.value, LONGEST_SHOWN),
                  found.value, error_text(why));
    else
        error_add(error, "%s %s", row->key, error_text(why));
}

static bool is_demanded(const struct option *row, enum option_origin origin)
{
    if (!(row->flags & OPTION_REQUIRED) || origin == OPTION_FROM_CREDENTIALS)
        return false;
    return origin == OPTION_FROM_FILE            ? row->scope == OPTION_CONNECTION
           : origin == OPTION_FROM_TRIGGER_ALONE ? row->scope != OPTION_CONNECTION
                                                 : true;
}

/* The text, where it can be read; NULL with the mistake added. The caller frees it. */
static char *read_found(const struct option *row, struct found_text found, struct error *error)
{
    _cleanup_(error_done) struct error why = {0};
    union any_field field = {0};
    char *text = text_trimmed(found.value);
    if (value_parse(row, text, &field, &why)) {
        value_free(row, &field);
        return text;
    }
    free(text);
    add_wrong_value(error, row, found, &why);
    return NULL;
}

/* The text that stands for the row: what was found if it can be read, else the default. */
static char *resolve(const struct option *row, struct found_text found, enum option_origin origin,
                     struct error *error)
{
    if (found.value != NULL) {
        char *text = read_found(row, found, error);
        if (text != NULL)
            return text;
    } else if (is_demanded(row, origin) && row->flags & OPTION_THRESHOLD)
        /* KEDA's formula then has the target, and its scalers need none. */
        error_add(error,
                  "%s is missing: %s; with scalingModifiers any number serves, such as %s: \"1\"",
                  row->key, row->doc, row->key);
    else if (is_demanded(row, origin))
        error_add(error, "%s is missing: %s", row->key, row->doc);

    bool empty =
        row->default_value == NULL && (row->flags & OPTION_REQUIRED) && row->type == OPTION_STRING;
    return text_copy(empty ? "" : row->default_value);
}

static void offer_keys(const struct option *table, struct text_nearest *nearest)
{
    for (const struct option *row = table; row->key != NULL; row++)
        text_nearest_offer(nearest, row->key);
}

/* KEDA's scaler "external" reads these of a trigger, for its calls to us. Who writes one where it
 * means nothing, as in the connections file, means the source. */
static const struct {
    const char *key, *name, *instead, *value;
} keda_keys[] = {
    {"caCert", "caCert", "ca", ""},
    {"tlsCertFile", "tlsCertFile", "ca", ""},
    {"tlsCert", "tlsCertFile", "ca", ""}, /* the connections file reads KEY of KEYFile */
    {"tlsClientCert", "tlsClientCert", "cert", ""},
    {"tlsClientKey", "tlsClientKey", "key", ""},
    {"enableTLS", "enableTLS", "tls", ": enable"},
    {"enableTLS", "enableTLS", "sslmode", ""},
    {"unsafeSsl", "unsafeSsl", "sslmode", ""},
    {"scalerAddress", "scalerAddress", NULL, NULL},
};

static bool add_keda_key(const struct option *table, const char *key, struct error *error)
{
    const char *name = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(keda_keys); i++) {
        const char *instead = keda_keys[i].instead;
        if (!text_equal(keda_keys[i].key, key))
            continue;
        name = keda_keys[i].name;
        if (instead == NULL || option_find(table, instead, OPTION_FROM_FILE) == NULL)
            continue;
        error_add(error, "%s is for KEDA's calls to Backlog: for the source set %s%s", name,
                  instead, keda_keys[i].value);
        return true;
    }
    if (name != NULL)
        error_add(error, "%s is for KEDA's calls to Backlog: remove it", name);
    return name != NULL;
}

/* What KEDA's scalers had once, and no longer read: not those whose table lacks `instead`. */
static const struct {
    const char *key, *instead, *advice;
} former_keys[] = {
    {"cortexOrgID", "customHeaders", "set customHeaders: X-Scope-OrgID=VALUE"},
    {"disableScaleToZero", "serverAddress", "set minReplicaCount: 1 in the ScaledObject"},
    {"brokerList", "bootstrapServers", "set bootstrapServers"},
    {"authMode", "sasl", "set sasl, and tls"},
    {"authMode", "authModes", "set authModes"},
    {"apiHost", "queueName", "set host to its http:// or https:// address"},
    {"includeUnacked", "queueName",
     "set host to an http:// or https:// address: messages in progress count, too"},
};

static bool add_former_key(const struct option *table, const char *key, struct error *error)
{
    _cleanup_(memory_free) char *plain = text_copy_bytes(
        key, strlen(key) - (option_is_variable(key) ? strlen(OPTION_VARIABLE_SUFFIX) : 0));
    for (size_t i = 0; i < ARRAY_LENGTH(former_keys); i++) {
        if (!text_equal(former_keys[i].key, plain) ||
            option_find(table, former_keys[i].instead, OPTION_FROM_FILE) == NULL)
            continue;
        error_add(error, "%s is no key of KEDA any more: %s", plain, former_keys[i].advice);
        return true;
    }
    return false;
}

/* Of equally near ones the first table's is meant. */
static void add_unknown_key(const struct option *table, const struct option *others,
                            const char *key, bool finds_nearest, struct error *error)
{
    struct text_nearest nearest;
    int shown = (int)text_cut(key, LONGEST_SHOWN);
    if (add_keda_key(table, key, error) || add_former_key(table, key, error))
        return;
    text_nearest_begin(key, &nearest);
    if (finds_nearest) {
        offer_keys(table, &nearest);
        offer_keys(others, &nearest);
    }
    if (nearest.nearest != NULL)
        error_add(error, "unknown key \"%.*s\": did you mean \"%s\"?", shown, key, nearest.nearest);
    else
        error_add(error, "unknown key \"%.*s\"", shown, key);
}

bool option_check_entry(const struct option *table, const struct option *others,
                        const struct option_entry *entry, enum option_origin origin,
                        struct error *error)
{
    const struct option *row = option_find(table, entry->key, origin);
    if (row == NULL) {
        if (others != NULL && option_find(others, entry->key, origin) != NULL)
            return true;
        add_unknown_key(table, others == NULL ? &no_options : others, entry->key, true, error);
        return false;
    }
    struct found_text found = look_up(row, &(struct option_input){entry, 1, origin});
    _cleanup_(memory_free) char *text = found.value == NULL ? NULL : read_found(row, found, error);
    return found.value == NULL || text != NULL;
}

static void check_unknown_keys(const struct option *table, const struct option_input *input,
                               struct error *error)
{
    const struct option *others = input->others == NULL ? &no_options : input->others;
    size_t unknown = 0;
    for (size_t i = 0; i < input->count; i++) {
        const char *key = input->entries[i].key;
        if (option_find(others, key, input->origin) != NULL ||
            option_find(table, key, input->origin) != NULL)
            continue;
        if (++unknown <= MAX_UNKNOWN_REPORTED)
            add_unknown_key(table, others, key, unknown <= MAX_UNKNOWN_COMPARED, error);
    }
    if (unknown > MAX_UNKNOWN_REPORTED)
        error_add(error, "%zu more unknown keys", unknown - MAX_UNKNOWN_REPORTED);
}

/* A query of pages need not be there twice. */
enum { LONGEST_IN_IDENTITY = 256 };

static unsigned char mark_key[32];

static void make_mark_key(void)
{
    if (getrandom(mark_key, sizeof(mark_key), 0) != sizeof(mark_key))
        abort();
}

/* Equal texts have equal marks, and nobody can read the text out of it. */
static char *mark_of(const char *secret)
{
    struct text hex = {0};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_mark_key);

    unsigned char mark[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    HMAC(EVP_sha256(), mark_key, sizeof(mark_key), (const unsigned char *)secret, strlen(secret),
         mark, &length);
    for (unsigned int i = 0; i < length; i++)
        text_addf(&hex, "%02x", mark[i]);
    return text_take(&hex);
}

static bool has_mark(const struct option *row, const char *value)
{
    return row->flags & OPTION_NEVER_SHOWN || strlen(value) > LONGEST_IN_IDENTITY;
}

/* To hash a text takes long: `known`, or NULL, has some of the same texts. */
static void add_mark(struct option_values *values, size_t row, const struct option_values *known)
{
    if (values->marks == NULL) {
        values->marks = memory_array(values->options, sizeof(*values->marks));
        values->bytes += memory_heap_bytes(values->options * sizeof(*values->marks));
    }
    values->marks[row] = known != NULL && known->given >> row & 1 ? text_copy(known->marks[row])
                                                                  : mark_of(values->texts[row]);
    values->bytes += text_heap_bytes(values->marks[row]);
}

static void add_to_identity(struct option_values *values, size_t row,
                            const struct option_values *known, struct text *identity)
{
    const struct option *option = &values->table[row];
    const char *text = values->texts[row];
    if (option->flags & OPTION_NO_IDENTITY)
        return;
    /* "key=length:value", so that no value can look like the next key, nor like a mark. */
    if (has_mark(option, text)) {
        add_mark(values, row, known);
        text_addf(identity, "%s=%s\n", option->key, values->marks[row]);
    } else {
        text_addf(identity, "%s=%zu:%s\n", option->key, strlen(text), text);
    }
}

static struct option_values *values_new(const struct option *table, size_t size,
                                        enum option_scope scope, const char *const *texts,
                                        const struct option_values *known)
{
    struct option_values *values = memory_new(sizeof(*values));
    struct text identity = {0};
    atomic_init(&values->users, 1);
    values->table = table;
    values->options = option_count(table);
    values->data = memory_new(size);
    values->texts = memory_array(values->options, sizeof(*values->texts));
    values->bytes = memory_heap_bytes(sizeof(*values)) + memory_heap_bytes(size) +
                    memory_heap_bytes(values->options * sizeof(*values->texts));

    for (size_t i = 0; i < values->options; i++) {
        if (table[i].scope != scope || texts[i] == NULL)
            continue;
        _cleanup_(error_done) struct error ignored = {
            0}; /* only texts that could be read get here */
        assert(table[i].field == (table[i].type == OPTION_DURATION ? OPTION_INT : table[i].type));
        void *field = (char *)values->data + table[i].offset;
        values->texts[i] = text_copy(texts[i]);
        value_parse(&table[i], values->texts[i], field, &ignored);
        values->bytes += text_heap_bytes(texts[i]) + value_bytes(&table[i], field);
        add_to_identity(values, i, known, &identity);
    }
    values->identity = text_take(&identity);
    values->bytes += text_heap_bytes(values->identity);
    return values;
}

struct option_values *option_values_new(const struct option *table, size_t size,
                                        enum option_scope scope, const char *const *texts)
{
    return values_new(table, size, scope, texts, NULL);
}

struct option_values *option_values_share(const struct option_values *values)
{
    struct option_values *shared = (struct option_values *)values;
    atomic_fetch_add(&shared->users, 1);
    return shared;
}

void option_values_free(struct option_values *values)
{
    if (values == NULL || atomic_fetch_sub(&values->users, 1) > 1)
        return;
    for (size_t i = 0; i < values->options; i++) {
        if (values->texts[i] == NULL)
            continue;
        value_free(&values->table[i], (char *)values->data + values->table[i].offset);
        free(values->texts[i]);
        if (values->marks != NULL)
            free(values->marks[i]);
    }
    free(values->texts);
    free(values->marks);
    free(values->data);
    free(values->identity);
    free(values);
}

bool option_values_equal(const struct option_values *one, const struct option_values *other)
{
    if (one == other)
        return true;
    if (one->table != other->table || one->hidden != other->hidden || one->given != other->given)
        return false;
    for (size_t i = 0; i < one->options; i++)
        if (!text_equal(one->texts[i], other->texts[i]))
            return false;
    return true;
}

bool option_says_where(const struct option *row)
{
    static const unsigned flags =
        OPTION_URL | OPTION_ADDRESS | OPTION_HOST | OPTION_HOSTS | OPTION_PORT | OPTION_PEER;
    return row->flags & flags;
}

bool option_is_credential(const struct option *row)
{
    return row->flags & (OPTION_CREDENTIAL | OPTION_SECRET) && !(row->flags & OPTION_ADDRESS);
}

bool option_steers_credentials(const struct option *row)
{
    bool is_credential_alone = option_is_credential(row) && !option_says_where(row);
    return row->scope == OPTION_QUERY || (row->scope == OPTION_CONNECTION && !is_credential_alone);
}

const struct option *option_port_of(const struct option *host)
{
    const struct option *next = host + 1;
    return next->key != NULL && next->flags & OPTION_PORT ? next : NULL;
}

const struct option *option_host_of(const struct option *port)
{
    return port->flags & OPTION_PORT ? port - 1 : NULL;
}

const char *option_separators(const struct option *row)
{
    return row->type == OPTION_LIST || row->flags & OPTION_HOSTS ? "," : "";
}

/* Of a URL, or of a list of them, what is left without "user:password@". */
static char *without_user(const struct option *row, const char *urls)
{
    struct text text = {0};
    size_t length = 0;
    for (const char *url;
         (url = text_next_piece(&urls, option_separators(row), &length)) != NULL;) {
        struct url_places places = url_find(url, length);
        size_t rest = places.is_ambiguous ? places.user : places.host;
        text_add(&text, text.length == 0 ? "" : ",");
        text_add_bytes(&text, url, places.user);
        text_add_bytes(&text, url + rest, length - rest);
    }
    return text_take(&text);
}

uint64_t option_values_source(const struct option_values *values)
{
    struct hash hash;
    uintptr_t table = (uintptr_t)values->table;
    hash_begin(&hash);
    hash_add(&hash, (const char *)&table, sizeof(table));
    for (size_t i = 0; i < values->options; i++) {
        const struct option *row = &values->table[i];
        if (values->texts[i] == NULL || option_is_credential(row) ||
            row->flags & OPTION_NO_IDENTITY)
            continue;
        bool may_have_user = row->flags & (OPTION_URL | OPTION_ADDRESS);
        _cleanup_(memory_free) char *place =
            may_have_user ? without_user(row, values->texts[i]) : text_copy(values->texts[i]);
        hash_add(&hash, row->key, strlen(row->key));
        hash_add(&hash, place, strlen(place));
    }
    uint64_t source = hash_end(&hash);
    return source == 0 ? 1 : source;
}

const char *option_text(const struct option_values *values, const char *key)
{
    for (size_t i = 0; i < values->options; i++)
        if (text_equal(values->table[i].key, key))
            return values->texts[i];
    return NULL;
}

bool option_is_given(const struct option_values *values, const char *key)
{
    for (size_t i = 0; i < values->options; i++)
        if (text_equal(values->table[i].key, key))
            return values->given >> i & 1;
    return false;
}

bool option_is_user_alone(const struct option_values *values, size_t row)
{
    if (!(values->table[row].flags & OPTION_USER))
        return false;
    for (size_t i = 0; i < values->options; i++)
        if (values->table[i].flags & OPTION_SECRET && values->texts[i] != NULL)
            return false;
    return true;
}

bool option_shows(const struct option_values *values, size_t row)
{
    return !(values->hidden >> row & 1) && !(values->table[row].flags & OPTION_NEVER_SHOWN) &&
           !option_is_user_alone(values, row);
}

/* What was parsed before, with the connection or the credentials. */
static bool is_known(const struct option_input *input, const struct option *table, size_t row)
{
    if (table[row].scope != OPTION_CONNECTION)
        return false;
    return input->connection != NULL ||
           (input->credentials != NULL && input->credentials->given >> row & 1);
}

/* The values of a connection where nobody has to make them: beside what was parsed before they have
 * nothing but defaults. */
static const struct option_values *whole_connection(const struct option_input *input,
                                                    uint64_t given)
{
    if (input->connection != NULL || input->credentials == NULL)
        return input->connection;
    return given == 0 ? input->credentials : NULL;
}

bool option_parse(const struct option *table, const size_t sizes[OPTION_SCOPES],
                  const struct option_input *input, struct option_values *ret_values[OPTION_SCOPES],
                  struct error *error)
{
    _cleanup_(error_done) struct error mistakes = {0};
    size_t rows = option_count(table);
    char **texts = memory_array(rows, sizeof(*texts));
    uint64_t hidden[OPTION_SCOPES] = {0};
    uint64_t given[OPTION_SCOPES] = {0};
    for (size_t i = 0; i < rows; i++) {
        if (is_known(input, table, i))
            continue;
        struct found_text found = look_up(&table[i], input);
        texts[i] = resolve(&table[i], found, input->origin, &mistakes);
        if (!found.show)
            hidden[table[i].scope] |= UINT64_C(1) << i;
        if (found.value != NULL)
            given[table[i].scope] |= UINT64_C(1) << i;
    }
    check_unknown_keys(table, input, &mistakes);

    const struct option_values *whole = whole_connection(input, given[OPTION_CONNECTION]);
    const struct option_values *known = whole == NULL ? input->credentials : NULL;
    for (size_t i = 0; known != NULL && i < rows; i++)
        if (known->given >> i & 1)
            texts[i] = text_copy(known->texts[i]);
    for (int scope = 0; scope < OPTION_SCOPES; scope++) {
        if (scope == OPTION_CONNECTION && whole != NULL) {
            ret_values[scope] = option_values_share(whole);
            continue;
        }
        const struct option_values *same = scope == OPTION_CONNECTION ? known : NULL;
        ret_values[scope] = values_new(table, sizes[scope], (enum option_scope)scope,
                                       (const char *const *)texts, same);
        ret_values[scope]->hidden = hidden[scope] | (same == NULL ? 0 : same->given);
        ret_values[scope]->given = given[scope] | (same == NULL ? 0 : same->given);
    }
    for (size_t i = 0; i < rows; i++)
        free(texts[i]);
    free(texts);

    bool good = !error_is_set(&mistakes);
    if (!good)
        error_add(error, "%s", error_text(&mistakes));
    return good;
}

struct option_values *option_parse_scope(const struct option *table,
                                         const size_t sizes[OPTION_SCOPES],
                                         const struct option_input *input, enum option_scope scope,
                                         struct error *mistakes)
{
    struct option_values *values[OPTION_SCOPES];
    option_parse(table, sizes, input, values, mistakes);
    for (int other = 0; other < OPTION_SCOPES; other++)
        if (other != (int)scope)
            option_values_free(values[other]);
    return values[scope];
}
