#include "cli/command.h"

#include "base/memory.h"
#include "base/system/file.h"
#include "base/text.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "commands/finding_output.h"
#include "manifest/migration/migration.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct migrate_flags {
    const char *scaler_address;
    const char *authentication;
    int authentication_kind;
    const char *namespace;
    const char *connections_out;
    int connections_for;
    bool writes;
    bool is_back;
    int output;
};

static const char *const kinds[] = {"ClusterTriggerAuthentication", "TriggerAuthentication", NULL};
static const char *const readers[] = {
    [DRAFTS_FOR_CHART] = "chart", [DRAFTS_FOR_SERVER] = "server", NULL};

#define FLAG(...) COMMAND_FLAG(struct migrate_flags, __VA_ARGS__)

static const struct option table[] = {
    FLAG("write", OPTION_BOOL, writes, "false", .group = "What to do", .flags = OPTION_NO_VARIABLE,
         .doc = "change the files; without it the diff is printed"),
    FLAG("back", OPTION_BOOL, is_back, "false", .flags = OPTION_NO_VARIABLE,
         .doc = "take back what was migrated, by the comments in the files"),

    FLAG("scaler-address", OPTION_STRING, scaler_address, "backlog.keda.svc:9090",
         .group = "How to migrate", .value_name = "ADDRESS", .doc = "where KEDA finds the server"),
    FLAG("authentication", OPTION_STRING, authentication, NULL, .value_name = "NAME",
         .doc = "where the server has TLS: what gives KEDA its certificates for it; each trigger "
                "gets enableTLS and this authenticationRef"),
    FLAG("authentication-kind", OPTION_CHOICE, authentication_kind, "ClusterTriggerAuthentication",
         .choices = kinds, .value_name = "KIND", .doc = "of --authentication"),
    FLAG("connections-out", OPTION_STRING, connections_out, "backlog-connections.yaml",
         .flags = OPTION_NO_VARIABLE, .value_name = "FILE",
         .doc = "the file for connections, which take the place of TriggerAuthentications"),
    FLAG("connections-for", OPTION_CHOICE, connections_for, "chart", .choices = readers,
         .value_name = "READER",
         .doc = "who reads that file: values of the chart, or `backlog serve --config`"),
    FLAG("namespace", OPTION_STRING, namespace, NULL, .doc = "of manifests that name none"),

    OUTPUT_FLAG(.doc = "text, or one JSON object per line"),
    {0},
};

/* ---- writing ---- */

static bool write_all(int descriptor, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(descriptor, bytes, length);
        if (written < 0 && errno != EINTR)
            return false;
        bytes += written < 0 ? 0 : written;
        length -= written < 0 ? 0 : (size_t)written;
    }
    return fsync(descriptor) == 0 || errno == EINVAL;
}

/* A file is replaced as a whole, so that no reader sees a half; through links, with the rights that it has, and for its
 * owner where this user may give files away. */
static bool replace_file(const char *path, const struct text *text, struct error *error)
{
    _cleanup_(memory_free) char *real = realpath(path, NULL);
    _cleanup_(memory_free) char *temporary =
        text_format("%s.backlog-XXXXXX", real == NULL ? path : real);
    struct stat status;
    if (real == NULL || stat(real, &status) != 0 || access(real, W_OK) != 0)
        return error_invalid(error, "cannot write %s: %s", path, strerror(errno));
    _cleanup_(file_close) int descriptor = mkostemp(temporary, O_CLOEXEC);
    if (descriptor < 0)
        return error_invalid(error, "cannot write %s: %s", temporary, strerror(errno));
    int is_given = fchown(descriptor, status.st_uid, status.st_gid);
    (void)is_given;
    if (fchmod(descriptor, status.st_mode & 07777) == 0 &&
        write_all(descriptor, text->bytes == NULL ? "" : text->bytes, text->length) &&
        rename(temporary, real) == 0)
        return true;
    error_invalid(error, "cannot write %s: %s", path, strerror(errno));
    unlink(temporary);
    return false;
}

/* It names Secrets, and may hold what stood in the triggers: for its owner alone. */
static bool create_file(const char *path, const struct text *text, struct error *error)
{
    _cleanup_(file_close) int descriptor =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return error_invalid(error, "cannot make %s: %s%s", path, strerror(errno),
                             errno == EEXIST ? " (choose another file with --connections-out)"
                                             : "");
    if (write_all(descriptor, text->bytes, text->length))
        return true;
    error_invalid(error, "cannot write %s: %s", path, strerror(errno));
    unlink(path);
    return false;
}

static bool is_input(const struct manifest_file *file)
{
    return text_equal(file->path, "-");
}

/* Standard input goes to standard output, be it changed or not: nothing of it may be lost in a pipe. */
static void write_input(const struct manifests *manifests, const struct migration *migration)
{
    for (size_t i = 0; i < manifests->file_count; i++) {
        const struct manifest_file *file = manifests->files[i];
        const struct text *text = &file->text;
        if (!is_input(file))
            continue;
        for (size_t changed = 0; changed < migration->count; changed++)
            if (migration->items[changed].file == file)
                text = &migration->items[changed].text;
        if (text->length > 0)
            fwrite(text->bytes, 1, text->length, stdout);
    }
}

/* Without standard input. */
static size_t count_files(const struct migration *migration)
{
    size_t count = 0;
    for (size_t i = 0; i < migration->count; i++)
        count += !is_input(migration->items[i].file);
    return count;
}

/* Of a full disk, or a file that may not be written, behind others. */
static bool stop_writing(const struct migrate_flags *flags, const struct migration *migration,
                         size_t written, struct error *error)
{
    if (written > 0)
        return error_set(error, error->code,
                         "%s. %zu of %zu files were changed before: `backlog migrate --back "
                         "--write` takes that back",
                         error_text(error), written, count_files(migration));
    if (migration->drafts.count > 0)
        unlink(flags->connections_out); /* of this run: the next one makes it again */
    return false;
}

static bool write_files(const struct migrate_flags *flags, const struct migration *migration,
                        const struct text *connections, struct error *error)
{
    size_t written = 0;
    if (migration->drafts.count > 0 && !create_file(flags->connections_out, connections, error))
        return false;
    for (size_t i = 0; i < migration->count; i++) {
        const struct migrated_file *file = &migration->items[i];
        if (is_input(file->file))
            continue;
        if (!replace_file(file->file->path, &file->text, error))
            return stop_writing(flags, migration, written, error);
        written++;
    }
    return true;
}

/* ---- printing ---- */

static void print_diff_text(const char *diff)
{
    for (const char *line = diff; *line != '\0';) {
        int length = (int)strcspn(line, "\n");
        const char *color = line[0] == '+'   ? console_begin(stdout, CONSOLE_GREEN)
                            : line[0] == '-' ? console_begin(stdout, CONSOLE_RED)
                            : line[0] == '@' ? console_begin(stdout, CONSOLE_BLUE)
                                             : "";
        printf("%s%.*s%s\n", color, length, line, color[0] == '\0' ? "" : console_end(stdout));
        line += length + (line[length] == '\n');
    }
}

static void print_file(const char *path, const char *diff, bool is_json)
{
    if (is_json)
        console_print_json(json_pack("{s:s, s:o, s:o}", "type", "file", "path",
                                     console_json_text(path), "diff", console_json_text(diff)));
    else
        print_diff_text(diff);
}

/* A new file, as diff shows one. */
static void print_connections(const char *path, const struct text *connections, bool is_json)
{
    _cleanup_(text_done) struct text diff = {0};
    _cleanup_(lines_done) struct lines lines;
    lines_init(&lines, connections->bytes, connections->length);
    text_addf(&diff, "--- /dev/null\n+++ %s%s\n@@ -0,0 +1,%zu @@\n", path[0] == '/' ? "" : "b/",
              path, lines.count);
    for (size_t i = 0; i < lines.count; i++)
        text_addf(&diff, "+%.*s", (int)(lines.starts[i + 1] - lines.starts[i]),
                  connections->bytes + lines.starts[i]);
    print_file(path, diff.bytes, is_json);
}

static void print_diffs(const struct migrate_flags *flags, const struct migration *migration,
                        const struct text *connections)
{
    bool is_json = flags->output == OUTPUT_JSON;
    for (size_t i = 0; i < migration->count; i++) {
        const struct migrated_file *file = &migration->items[i];
        _cleanup_(text_done) struct text diff = {0};
        patch_diff(&file->patch, &file->lines, file->file->path, &diff);
        print_file(file->file->path, diff.bytes, is_json);
    }
    if (migration->drafts.count > 0)
        print_connections(flags->connections_out, connections, is_json);
}

static const char *what_next(const struct migrate_flags *flags, const struct migration *migration)
{
    return flags->writes || migration->count == 0 ? ""
           : migration->count == 1                ? ": --write changes it"
                                                  : ": --write changes them";
}

static void print_summary(const struct migrate_flags *flags, const struct migration *migration,
                          const struct findings *findings)
{
    if (flags->output == OUTPUT_JSON)
        console_print_json(
            json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "type", "summary", "files",
                      (json_int_t)migration->count, "moved", (json_int_t)migration->moved,
                      "connections", (json_int_t)migration->drafts.count, "stay",
                      (json_int_t)findings->counts[FINDING_ERROR], "written", flags->writes));
    else if (flags->is_back)
        fprintf(stderr, "%zu file%s migrated back%s\n", migration->count,
                text_plural(migration->count), what_next(flags, migration));
    else
        fprintf(stderr, "%zu trigger%s moved in %zu file%s, %zu connection%s%s\n", migration->moved,
                text_plural(migration->moved), migration->count, text_plural(migration->count),
                migration->drafts.count, text_plural(migration->drafts.count),
                what_next(flags, migration));
}

/* ---- the command ---- */

static int run_migrate(const struct command_line *line, struct error *error)
{
    _cleanup_(manifests_done) struct manifests manifests = {0};
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(migration_done) struct migration migration = {0};
    _cleanup_(text_done) struct text connections = {0};
    const struct migrate_flags *flags = line->flags;
    const struct migration_settings settings = {.scalers = scaler_list,
                                                .scaler_address = flags->scaler_address,
                                                .authentication = flags->authentication,
                                                .is_cluster_wide = flags->authentication_kind == 0};
    for (size_t i = 0; i < line->operand_count; i++)
        manifests_add(&manifests, line->operands[i], &findings);
    for (size_t i = 0; flags->namespace != NULL && i < manifests.object_count; i++)
        if (manifests.objects[i].namespace == NULL)
            manifests.objects[i].namespace = flags->namespace;
    if (flags->is_back)
        migration_undo(scaler_list, &manifests, &migration, &findings);
    else
        migration_make(&settings, &manifests, &migration, &findings);
    drafts_write(&migration.drafts, (enum drafts_format)flags->connections_for, &connections);
    findings_sort(&findings);
    findings_print(&findings, stderr, flags->output == OUTPUT_JSON, false);
    if (!flags->writes)
        print_diffs(flags, &migration, &connections);
    bool is_written = !flags->writes || write_files(flags, &migration, &connections, error);
    if (flags->writes && is_written)
        write_input(&manifests, &migration);
    if (is_written)
        print_summary(flags, &migration, &findings);
    return is_written && findings.counts[FINDING_ERROR] == 0 ? 0 : 1;
}

const struct command command_migrate = {
    .name = "migrate",
    .summary = "move triggers of KEDA's own types to Backlog, and back",
    .operands = "FILE|FOLDER|- ...",
    .min_operands = 1,
    .max_operands = SIZE_MAX,
    .about = "Prints the diff that moves triggers such as `type: kafka` to Backlog. A "
             "TriggerAuthentication becomes a connection. Comments and formatting stay, and what "
             "--back needs is kept in comments. What cannot move stays, with the reason.",
    .exit_status = "0 everything moved that is of a type that Backlog has; 1 something could not "
                   "be moved",
    .examples = {{"show what would change", "backlog migrate deploy/"},
                 {"change the files",
                  "backlog migrate --write --scaler-address backlog.keda.svc:9090 deploy/"},
                 {"and back", "backlog migrate --back --write deploy/"}},
    .flags = table,
    .flags_size = sizeof(struct migrate_flags),
    .run = run_migrate,
};
