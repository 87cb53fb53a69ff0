#include "metrics_api/path.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* A part of a path, between its dots. */
struct path_step {
    enum { STEP_NAME, STEP_COUNT, STEP_QUERY } kind;
    struct text name;  /* of a STEP_NAME, without its escapes; of a STEP_QUERY a path of names */
    struct text value; /* of a STEP_QUERY: an element counts if this is at that path */
    bool is_escaped;   /* the name has an escape, so that it is no index */
};

static void path_step_done(struct path_step *step)
{
    text_done(&step->name);
    text_done(&step->value);
}

static const char *mistake_of(const char *path);

/* This and the next ones return NULL, or what is wrong with the path. */
static const char *take_name(const char **at, struct path_step *step)
{
    if (**at == '\0' || **at == '.')
        return "an empty name";
    if (strchr("@![{", **at) != NULL)
        return "a modifier, a literal or several paths";
    for (; **at != '\0' && **at != '.'; ++*at) {
        if (strchr("|*?", **at) != NULL)
            return "a pipe or a wildcard";
        bool is_escape = **at == '\\';
        step->is_escaped |= is_escape;
        *at += is_escape;
        if (**at == '\0')
            return "\\ at its end";
        text_add_bytes(&step->name, *at, 1);
    }
    return NULL;
}

/* #(name==value), behind the first parenthesis. */
static const char *take_query(const char **at, struct path_step *step)
{
    static const char mistake[] = "a query that is not #(name==value)";
    size_t length = strcspn(*at, "=!<>%#()[]\"");
    _cleanup_(memory_free) char *key = text_copy_bytes(*at, length);
    _cleanup_(memory_free) char *name = text_trimmed(key);
    text_add(&step->name, name);
    *at += length;
    if (**at != '=')
        return mistake;
    *at += (*at)[1] == '=' ? 2 : 1;
    *at += strspn(*at, " ");
    bool is_quoted = **at == '"';
    for (*at += is_quoted; strchr(is_quoted ? "\"" : " )", **at) == NULL; ++*at) {
        *at += is_quoted && **at == '\\';
        if (**at == '\0' || (!is_quoted && strchr("([]\"\\~", **at) != NULL))
            return mistake;
        text_add_bytes(&step->value, *at, 1);
    }
    if (**at == '\0' || (!is_quoted && step->value.length == 0))
        return mistake;
    *at += is_quoted + strspn(*at + is_quoted, " ");
    if (**at != ')' || ((*at)[1] != '\0' && (*at)[1] != '.'))
        return mistake;
    ++*at;
    return name[0] == '\0' ? NULL : mistake_of(name);
}

/* Takes a step and the dot behind it. */
static const char *take_step(const char **at, struct path_step *step)
{
    const char *why = NULL;
    if ((*at)[0] != '#') {
        step->kind = STEP_NAME;
        why = take_name(at, step);
    } else if ((*at)[1] == '(') {
        *at += 2;
        step->kind = STEP_QUERY;
        why = take_query(at, step);
    } else {
        step->kind = STEP_COUNT;
        ++*at;
        why = **at == '\0' ? NULL : "# before its end, which gives a list";
    }
    if (why != NULL || **at != '.')
        return why;
    ++*at;
    return **at == '\0' ? "an empty name" : NULL;
}

static const char *mistake_of(const char *path)
{
    const char *why;
    do {
        _cleanup_(path_step_done) struct path_step step = {0};
        why = take_step(&path, &step);
    } while (why == NULL && *path != '\0');
    return why;
}

bool metrics_api_path_check(const char *path, struct error *error)
{
    const char *why = mistake_of(path);
    return why == NULL ||
           error_invalid(
               error,
               "valueLocation %s has %s: allowed are names and indices with dots between "
               "(jobs.0.waiting), \\ before a special character, the length of a list "
               "(jobs.#), its first element with a value (jobs.#(queue==\"mail\").waiting)",
               path, why);
}

static bool is_equal(const json_t *found, const char *value)
{
    char *end = NULL;
    if (json_is_number(found)) {
        double number = strtod(value, &end);
        return end != value && *end == '\0' && json_number_value(found) == number;
    }
    if (json_is_boolean(found))
        return text_equal(json_is_true(found) ? "true" : "false", value);
    return text_equal(json_string_value(found), value);
}

static const json_t *find_element(const json_t *list, const struct path_step *step)
{
    size_t i;
    const json_t *element;
    const char *name = step->name.length == 0 ? "" : step->name.bytes;
    const char *value = step->value.length == 0 ? "" : step->value.bytes;
    json_array_foreach(list, i, element) {
        bool is_count;
        if (is_equal(metrics_api_path_find(name, element, &is_count), value))
            return element;
    }
    return NULL;
}

const json_t *metrics_api_path_find(const char *path, const json_t *root, bool *ret_is_count)
{
    const json_t *found = root;
    *ret_is_count = false;
    while (*path != '\0' && found != NULL) {
        _cleanup_(path_step_done) struct path_step step = {0};
        take_step(&path, &step);
        const char *name = step.name.bytes == NULL ? "#" : step.name.bytes;
        bool is_index = !step.is_escaped && name[strspn(name, "0123456789")] == '\0';
        *ret_is_count = step.kind == STEP_COUNT && json_is_array(found);
        if (step.kind == STEP_QUERY)
            found = find_element(found, &step);
        else if (json_is_object(found))
            found = json_object_get(found, name);
        else if (!*ret_is_count)
            found = is_index ? json_array_get(found, strtoul(name, NULL, 10)) : NULL;
    }
    return found;
}
