#include "base/samples.h"

#include "base/memory.h"
#include "base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char name_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789";

/* name="value", of a series or a selector. */
struct label {
    const char *name;
    size_t name_length;
    struct text value;
};

static void label_done(struct label *label)
{
    text_done(&label->value);
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

static size_t name_length(const char *at)
{
    return isdigit((unsigned char)*at) ? 0 : strspn(at, name_characters);
}

/* Takes a label and the comma behind it, if there is one; false: there is none. */
static bool take_label(const char **at, struct label *label)
{
    label->name = skip_blanks(*at);
    label->name_length = name_length(label->name);
    const char *value = skip_blanks(label->name + label->name_length);
    if (label->name_length == 0 || *value != '=')
        return false;
    value = skip_blanks(value + 1);
    char quote = *value;
    if (quote != '"' && quote != '\'')
        return false;
    for (value++; *value != quote; value++) {
        bool is_escaped = *value == '\\';
        value += is_escaped;
        if (*value == '\0' || *value == '\n')
            return false;
        text_add_bytes(&label->value, is_escaped && *value == 'n' ? "\n" : value, 1);
    }
    *at = skip_blanks(value + 1);
    *at += **at == ',';
    return true;
}

/* Behind the brace that ends the labels; NULL: they are none. */
static const char *skip_labels(const char *at)
{
    for (;;) {
        _cleanup_(label_done) struct label label = {0};
        at = skip_blanks(at);
        if (*at == '}')
            return at + 1;
        if (!take_label(&at, &label))
            return NULL;
    }
}

/* The labels behind a name; "" where it has none. */
static const char *labels_of(const char *behind_name)
{
    const char *brace = skip_blanks(behind_name);
    return *brace == '{' ? brace + 1 : "";
}

bool samples_is_selector(const char *text)
{
    const char *end = text + name_length(text);
    bool has_name = end != text;
    const char *labels = labels_of(end);
    if (*labels != '\0')
        end = skip_labels(labels);
    return has_name && end != NULL && *skip_blanks(end) == '\0';
}

static bool has_label(const char *labels, const struct label *wanted)
{
    for (;;) {
        _cleanup_(label_done) struct label label = {0};
        if (!take_label(&labels, &label))
            return false;
        if (label.name_length == wanted->name_length &&
            memcmp(label.name, wanted->name, label.name_length) == 0 &&
            text_equal(label.value.bytes, wanted->value.bytes))
            return true;
    }
}

static bool has_labels(const char *labels, const char *wanted)
{
    for (;;) {
        _cleanup_(label_done) struct label label = {0};
        if (!take_label(&wanted, &label))
            return true;
        if (!has_label(labels, &label))
            return false;
    }
}

static bool take_number(const char *text, double *ret_number)
{
    char *end = NULL;
    text = skip_blanks(text);
    *ret_number = strtod(text, &end);
    return end != text && !isspace((unsigned char)*text) && strchr(" \t\r\n", *end) != NULL;
}

enum samples_outcome samples_find(const char *text, const char *selector, double *ret_number)
{
    size_t length = name_length(selector);
    const char *wanted = labels_of(selector + length);
    enum samples_outcome outcome = SAMPLES_NO_METRIC;
    for (const char *next = text; *next != '\0';) {
        const char *name = skip_blanks(next);
        next += strcspn(next, "\n");
        next += *next == '\n';
        if (name_length(name) != length || memcmp(name, selector, length) != 0)
            continue;
        const char *behind = name + length, *labels = labels_of(behind);
        const char *number = *labels == '\0' ? behind : skip_labels(labels);
        if (number == NULL)
            return SAMPLES_INVALID;
        outcome = SAMPLES_NO_SERIES;
        if (has_labels(labels, wanted))
            return take_number(number, ret_number) ? SAMPLES_FOUND : SAMPLES_INVALID;
    }
    return outcome;
}
