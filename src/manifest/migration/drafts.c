#include "manifest/migration/drafts.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- YAML ---- */

static bool is_plain(const char *value)
{
    static const char *const words[] = {"true", "false", "yes", "no",  "on", "off",
                                        "null", "y",     "n",   "nan", "inf"};
    size_t length = strlen(value);
    if (length == 0 || !isalpha((unsigned char)value[0]) || value[length - 1] == ':')
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (text_distance(value, words[i]) == 0)
            return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)value[i]) && strchr("-_./:", value[i]) == NULL)
            return false;
    return true;
}

void yaml_add_text(struct text *text, const char *value)
{
    if (is_plain(value)) {
        text_add(text, value);
        return;
    }
    text_add(text, "\"");
    for (const char *at = value; *at != '\0'; at++)
        if (*at == '"' || *at == '\\')
            text_addf(text, "\\%c", *at);
        else if (*at == '\n')
            text_add(text, "\\n");
        else if ((unsigned char)*at < ' ' || *at == 0x7F)
            text_addf(text, "\\x%02x", (unsigned char)*at);
        else
            text_add_bytes(text, at, 1);
    text_add(text, "\"");
}

/* ---- making ---- */

static void draft_done(struct draft *draft)
{
    for (size_t i = 0; i < draft->count; i++) {
        free(draft->lines[i].key);
        free(draft->lines[i].value);
        free(draft->lines[i].secret);
        free(draft->lines[i].item);
    }
    free(draft->lines);
    free(draft->name);
}

void drafts_cut(struct drafts *drafts, size_t count)
{
    while (drafts->count > count)
        draft_done(&drafts->items[--drafts->count]);
}

void drafts_done(struct drafts *drafts)
{
    drafts_cut(drafts, 0);
    free(drafts->items);
    *drafts = (struct drafts){0};
}

static void fill_in(struct draft *draft, const struct builtin *builtin)
{
    const struct authentication *authentication = &builtin->authentication;
    draft->lines =
        memory_array(builtin->metadata->count + authentication->count + 1, sizeof(*draft->lines));
    for (size_t i = 0; i < builtin->metadata->count; i++)
        if (builtin->keys[i].action == BUILTIN_TO_CONNECTION) {
            const char *value = builtin->metadata->items[i]->text;
            draft->lines[draft->count++] =
                (struct draft_line){.key = text_copy(builtin->keys[i].row->key),
                                    .value = text_copy(value == NULL ? "" : value)};
        }
    for (size_t i = 0; i < authentication->count; i++) {
        const struct authentication_parameter *parameter = &authentication->parameters[i];
        const struct option *row = builtin_parameter(builtin, parameter->name);
        bool is_secret = parameter->source == PARAMETER_SECRET;
        if (row != NULL)
            draft->lines[draft->count++] =
                (struct draft_line){.key = text_copy(row->key),
                                    .value = text_copy(is_secret ? NULL : parameter->value),
                                    .secret = text_copy(is_secret ? parameter->object : NULL),
                                    .item = text_copy(is_secret ? parameter->key : NULL)};
    }
}

static bool is_equal(const struct draft *one, const struct draft *other)
{
    if (!text_equal(one->scaler, other->scaler) || one->count != other->count ||
        (one->namespace == NULL) != (other->namespace == NULL) ||
        (one->namespace != NULL && !text_equal(one->namespace, other->namespace)))
        return false;
    for (size_t i = 0; i < one->count; i++) {
        const struct draft_line *left = &one->lines[i], *right = &other->lines[i];
        bool is_value = left->value != NULL;
        if (!text_equal(left->key, right->key) || is_value != (right->value != NULL) ||
            (is_value ? !text_equal(left->value, right->value)
                      : !text_equal(left->secret, right->secret) ||
                            !text_equal(left->item, right->item)))
            return false;
    }
    return true;
}

static bool has_name(const struct drafts *drafts, const char *name)
{
    for (size_t i = 0; i < drafts->count; i++)
        if (text_equal(drafts->items[i].name, name))
            return true;
    return false;
}

/* The TriggerAuthentication's name, with the namespace in front or a number behind where it is taken. */
static char *free_name(const struct drafts *drafts, const char *namespace, const char *name)
{
    if (!has_name(drafts, name))
        return text_copy(name);
    char *full = namespace == NULL ? text_copy(name) : text_format("%s-%s", namespace, name);
    for (size_t number = 2; has_name(drafts, full); number++) {
        free(full);
        full = text_format("%s%s%s-%zu", namespace == NULL ? "" : namespace,
                           namespace == NULL ? "" : "-", name, number);
    }
    return full;
}

const char *drafts_add(struct drafts *drafts, const struct builtin *builtin, const char *namespace)
{
    struct draft draft = {
        .scaler = builtin->scaler->name,
        .namespace = builtin->authentication.is_cluster_wide ? NULL : namespace,
    };
    fill_in(&draft, builtin);
    for (size_t i = 0; i < drafts->count; i++)
        if (is_equal(&drafts->items[i], &draft)) {
            draft_done(&draft);
            return drafts->items[i].name;
        }
    draft.name = free_name(drafts, draft.namespace, builtin->authentication.name);
    drafts->items =
        memory_grow(drafts->items, &drafts->capacity, drafts->count + 1, sizeof(*drafts->items));
    drafts->items[drafts->count++] = draft;
    return draft.name;
}

/* ---- writing ---- */

/* The chart mounts one Secret of a connection by its name, and further ones by the list `secrets`. */
static const char *first_secret(const struct draft *draft)
{
    for (size_t i = 0; i < draft->count; i++)
        if (draft->lines[i].secret != NULL)
            return draft->lines[i].secret;
    return NULL;
}

static bool is_mounted_separately(const struct drafts *drafts, size_t draft, size_t line)
{
    const char *secret = drafts->items[draft].lines[line].secret;
    if (secret == NULL || text_equal(secret, first_secret(&drafts->items[draft])))
        return false;
    for (size_t i = 0; i <= draft; i++)
        for (size_t k = 0; k < (i == draft ? line : drafts->items[i].count); k++)
            if (text_equal(drafts->items[i].lines[k].secret, secret) &&
                !text_equal(first_secret(&drafts->items[i]), secret))
                return false; /* written before */
    return true;
}

static void write_secrets(const struct drafts *drafts, struct text *text)
{
    bool is_begun = false;
    for (size_t i = 0; i < drafts->count; i++)
        for (size_t line = 0; line < drafts->items[i].count; line++) {
            if (!is_mounted_separately(drafts, i, line))
                continue;
            text_add(text, is_begun ? ", " : "secrets: [");
            yaml_add_text(text, drafts->items[i].lines[line].secret);
            is_begun = true;
        }
    text_add(text, is_begun ? "]\n" : "");
}

static void write_draft(const struct draft *draft, enum drafts_format format, struct text *text)
{
    const char *secret = format == DRAFTS_FOR_CHART ? first_secret(draft) : NULL;
    text_addf(text, "  %s:\n    scaler: %s\n", draft->name, draft->scaler);
    if (secret != NULL)
        text_addf(text, "    secret: %s # in the namespace of Backlog\n", secret);
    for (size_t i = 0; i < draft->count; i++) {
        const struct draft_line *line = &draft->lines[i];
        text_addf(text, "    %s%s: ", line->key, line->value == NULL ? "File" : "");
        if (line->value != NULL)
            yaml_add_text(text, line->value);
        else if (secret != NULL && text_equal(line->secret, secret))
            yaml_add_text(text, line->item);
        else
            text_addf(text, "/etc/backlog/secrets/%s/%s", line->secret, line->item);
        text_add(text, "\n");
    }
    if (draft->namespace != NULL)
        text_addf(text, "    namespaces: [%s]\n", draft->namespace);
}

void drafts_write(const struct drafts *drafts, enum drafts_format format, struct text *ret_text)
{
    text_add(ret_text,
             format == DRAFTS_FOR_CHART
                 ? "# By backlog migrate: values of the chart (helm upgrade --values).\n"
                 : "# By backlog migrate: a connections file (backlog serve --config).\n");
    if (format == DRAFTS_FOR_CHART)
        write_secrets(drafts, ret_text);
    text_add(ret_text, "connections:\n");
    for (size_t i = 0; i < drafts->count; i++)
        write_draft(&drafts->items[i], format, ret_text);
}
