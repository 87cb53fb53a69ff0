/*
 * What the tables of flags of several subcommands share: the shape of a row, --output, and TLS to a
 * server.
 *
 * A command defines FLAG for its struct: `#define FLAG(...) COMMAND_FLAG(struct ask_flags,
 * __VA_ARGS__)`.
 *
 * Threads: any; a table is constant.
 */
#ifndef BACKLOG_CLI_COMMON_FLAGS_H
#define BACKLOG_CLI_COMMON_FLAGS_H

#include "base/text.h"
#include "client/grpc_socket.h"
#include "client/http_client.h"
#include "config/option.h"

#include <stddef.h>

/* A row: the flag's name, type, field of the struct and default, and further fields of struct
 * option. */
#define COMMAND_FLAG(structure, name, kind, field, standard, ...)                                  \
    {.key = (name),                                                                                \
     .type = (kind),                                                                               \
     OPTION_FIELD(structure, field),                                                               \
     .default_value = (standard),                                                                  \
     __VA_ARGS__}

enum output_format { OUTPUT_TEXT, OUTPUT_JSON };
extern const char *const output_formats[];

/* The row of --output, for a field `int output`. */
#define OUTPUT_FLAG(...)                                                                           \
    FLAG("output", OPTION_CHOICE, output, "text", .choices = output_formats, .group = "Output",    \
         .value_name = "FORMAT", __VA_ARGS__)

/* The row of --file, for a field `struct option_list files` of paths: "-" is standard input. */
#define FILES_FLAG(...)                                                                            \
    FLAG("file", OPTION_LIST, files, NULL, .alias = "f", .value_name = "FILE", __VA_ARGS__)

/* The row of --env, for a field `struct option_list variables`: those of the environment that
 * KEYFromEnv of files, which others may have written, may use. */
#define VARIABLES_FLAG                                                                             \
    FLAG("env", OPTION_LIST, variables, NULL, .flags = OPTION_REPEATED | OPTION_NO_VARIABLE,       \
         .value_name = "NAME",                                                                     \
         .doc = "a variable of the environment that KEYFromEnv in the files may use: its value "   \
                "goes where the files say; may be repeated")

/* The rows of TLS to a server, for a field `struct grpc_socket_tls tls`. */
#define TLS_FLAGS                                                                                  \
    FLAG("tls", OPTION_BOOL, tls.is_on, "false", .doc = "use TLS; each --tls-* implies it"),       \
        FLAG("tls-ca", OPTION_STRING, tls.ca, NULL, .value_name = "FILE",                          \
             .doc = "PEM file: authorities of the server; default: those of this machine"),        \
        FLAG("tls-cert", OPTION_STRING, tls.certificate, NULL, .value_name = "FILE",               \
             .doc = "PEM file: the certificate to show the server"),                               \
        FLAG("tls-key", OPTION_STRING, tls.key, NULL, .value_name = "FILE",                        \
             .doc = "PEM file: its private key"),                                                  \
        FLAG("tls-server-name", OPTION_STRING, tls.server_name, NULL, .flags = OPTION_NO_VARIABLE, \
             .doc = "name in the server's certificate; default: the host of its address"),         \
        FLAG("tls-skip-verify", OPTION_BOOL, tls.skips_verification, "false",                      \
             .flags = OPTION_NO_VARIABLE, .doc = "accept any certificate of the server")

/* For a command's check: adds what is wrong with them together. */
void tls_flags_check(const struct grpc_socket_tls *flags, struct text *mistakes);

/* What was given, with is_on where any of them implies it. The strings are those of `flags`. */
struct grpc_socket_tls tls_flags_settings(const struct grpc_socket_tls *flags);

/* The row of its token, for a field `struct http_server server_http`. */
#define HTTP_TOKEN_FLAG                                                                            \
    FLAG("http-token-file", OPTION_STRING, server_http.token_file, NULL, .value_name = "FILE",     \
         .doc = "file with the token of --server-http, as the server's --http-token-file has it")

/* The rows of a server's HTTP port, for fields `struct http_server server_http` and `int64_t
 * timeout_ms`. */
#define SERVER_HTTP_FLAGS                                                                          \
    FLAG("server-http", OPTION_STRING, server_http.address, "localhost:9091",                      \
         .group = "The server", .value_name = "ADDRESS",                                           \
         .doc = "the server's --http port, HOST:PORT or a URL"),                                   \
        HTTP_TOKEN_FLAG,                                                                           \
        FLAG("timeout", OPTION_DURATION, timeout_ms, "10s", .limits = {100, 600 * 1000},           \
             .doc = "for the server to answer")

#endif
