#include "cli/command.h"

#include "base/memory.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "commit.h"
#include "measure/scaler.h"
#include "serve/transport/transport.h"

#include <openssl/crypto.h>
#include <stdio.h>

struct version_flags {
    int output;
};

#define FLAG(...) COMMAND_FLAG(struct version_flags, __VA_ARGS__)

static const struct option table[] = {
    OUTPUT_FLAG(.doc = "text, or one JSON object"),
    {0},
};

static void add_name(json_t *names, const char *name)
{
    size_t i;
    json_t *known;
    json_array_foreach(names, i, known)
        if (text_equal(json_string_value(known), name))
            return;
    json_array_append_new(names, json_string(name));
}

static void add_libraries(json_t *names, void (*write)(struct text *text))
{
    _cleanup_(text_done) struct text text = {0};
    if (write == NULL)
        return;
    write(&text);
    add_name(names, text.bytes);
}

/* As this process has loaded them. */
static json_t *libraries(void)
{
    json_t *names = json_array();
    for (size_t i = 0; transport_list[i] != NULL; i++)
        add_libraries(names, transport_list[i]->libraries);
    for (size_t i = 0; scaler_list[i] != NULL; i++)
        add_libraries(names, scaler_list[i]->libraries);
    _cleanup_(memory_free) char *openssl =
        text_format("OpenSSL %s", OpenSSL_version(OPENSSL_VERSION_STRING));
    add_name(names, openssl);
    return names;
}

static json_t *scalers(void)
{
    json_t *names = json_array();
    for (size_t i = 0; scaler_list[i] != NULL; i++)
        if (scaler_list[i]->absent == NULL)
            add_name(names, scaler_list[i]->name);
    return names;
}

static json_t *transports(void)
{
    json_t *names = json_array();
    for (size_t i = 0; transport_list[i] != NULL; i++)
        add_name(names, transport_list[i]->name);
    return names;
}

static void print_names(const char *title, const json_t *names)
{
    size_t i;
    json_t *name;
    printf("%s:", title);
    json_array_foreach(names, i, name)
        printf("%s %s", i == 0 ? "" : ",", json_string_value(name));
    printf("\n");
}

static int run_version(const struct command_line *line, struct error *error)
{
    const struct version_flags *flags = line->flags;
    (void)error;
    json_t *version =
        json_pack("{s:s, s:s, s:o, s:o, s:o}", "version", BACKLOG_VERSION, "commit", BACKLOG_COMMIT,
                  "transports", transports(), "scalers", scalers(), "libraries", libraries());
    if (flags->output == OUTPUT_JSON) {
        console_print_json(version);
        return 0;
    }
    printf("backlog %s\ncommit: %s\n", BACKLOG_VERSION, BACKLOG_COMMIT);
    print_names("transports", json_object_get(version, "transports"));
    print_names("scalers", json_object_get(version, "scalers"));
    print_names("libraries", json_object_get(version, "libraries"));
    json_decref(version);
    return 0;
}

const struct command command_version = {
    .name = "version",
    .summary = "print the version, the commit and the libraries",
    .about = "Prints the version, the commit that it was built of, its transports and scalers, and "
             "the libraries as they are loaded. `backlog --version` prints the version alone.",
    .exit_status = "0 printed",
    .examples = {{"for a bug report", "backlog version"},
                 {"for a program", "backlog version --output json"}},
    .flags = table,
    .flags_size = sizeof(struct version_flags),
    .run = run_version,
};
