#include "cli/command.h"

#include "base/memory.h"
#include "base/system/file.h"
#include "base/text.h"
#include "cli/common_flags.h"
#include "cli/console.h"
#include "commands/finding_output.h"
#include "commands/fleet.h"
#include "commands/kubectl.h"
#include "manifest/migration/connection_keys.h"
#include "manifest/migration/migration.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct migrate_flags {
    const char *scaler_address;
    const char *authentication;
    int authentication_kind;
    int type;
    const char *namespace;
    const char *keda_namespace;
    const char *connection;
    const char *context;
    bool lists_cluster;
    bool writes;
    bool is_back;
    int output;
};

static const char *const kinds[] = {"ClusterTriggerAuthentication", "TriggerAuthentication", NULL};
static const char *const types[] = {"external-push", "external", NULL};

#define DEFAULT_ADDRESS "backlog.keda.svc:9090"

#define FLAG(...) COMMAND_FLAG(struct migrate_flags, __VA_ARGS__)

static const struct option table[] = {
    FLAG("write", OPTION_BOOL, writes, "false", .group = "What to do", .flags = OPTION_NO_VARIABLE,
         .doc = "change the files; without it the diff is printed"),
    FLAG("back", OPTION_BOOL, is_back, "false", .flags = OPTION_NO_VARIABLE,
         .doc = "to KEDA's own types, by the metadata of the triggers"),
    FLAG("connection", OPTION_STRING, connection, NULL, .value_name = "NAME",
         .doc = "for servers without --kubernetes: print the keys of a connection, and change "
                "nothing"),
    FLAG("cluster", OPTION_BOOL, lists_cluster, "false", .flags = OPTION_NO_VARIABLE,
         .doc = "list what a cluster could move, with the command for each, in an order for many; "
                "read through kubectl, or of the files that are given"),
    FLAG("context", OPTION_STRING, context, NULL, .value_name = "NAME",
         .doc = "with --cluster: of kubectl; default: its current one"),

    FLAG("scaler-address", OPTION_STRING, scaler_address, NULL, .group = "How to migrate",
         .value_name = "ADDRESS",
         .doc = "where KEDA finds the server; default: " DEFAULT_ADDRESS ". If it is given, "
                "triggers that have moved before get it, too"),
    FLAG("type", OPTION_CHOICE, type, "external-push", .choices = types, .value_name = "TYPE",
         .flags = OPTION_NO_VARIABLE,
         .doc =
             "of triggers in ScaledObjects; in ScaledJobs it is always external. If it is given, "
             "triggers that have moved to this address before get it, too"),
    FLAG("authentication", OPTION_STRING, authentication, NULL, .value_name = "NAME",
         .doc = "for a server with mTLS: the authentication with KEDA's certificates for Backlog. "
                "Each trigger gets enableTLS and this authenticationRef, and names the "
                "authentication of its source in the metadata; also one that has moved to this "
                "address before"),
    FLAG("authentication-kind", OPTION_CHOICE, authentication_kind, "ClusterTriggerAuthentication",
         .choices = kinds, .value_name = "KIND", .doc = "of --authentication"),
    FLAG("namespace", OPTION_STRING, namespace, NULL, .doc = "of manifests that name none"),
    FLAG("keda-namespace", OPTION_STRING, keda_namespace, "keda", .value_name = "NAMESPACE",
         .doc = "where KEDA is, and the Secrets and ConfigMaps of ClusterTriggerAuthentications"),

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

/* A file is replaced as a whole, so that no reader sees a half; through links, with the rights that
 * it has, and for its owner where this user may give files away. */
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

static bool is_input(const struct manifest_file *file)
{
    return text_equal(file->path, "-");
}

/* Standard input goes to standard output, be it changed or not: nothing of it may be lost in a
 * pipe. */
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

static void fail_between(const struct migrate_flags *flags, const struct migration *migration,
                         size_t written, struct error *error)
{
    const char *name = flags->authentication;
    error_set(error, error->code,
              "%s. %zu of %zu files were changed before: `backlog migrate %s--write%s%s%s` takes "
              "that back",
              error_text(error), written, count_files(migration), flags->is_back ? "" : "--back ",
              name == NULL ? "" : " --authentication ", name == NULL ? "" : name,
              flags->authentication_kind == 0 ? ""
                                              : " --authentication-kind TriggerAuthentication");
}

static bool write_files(const struct migrate_flags *flags, const struct migration *migration,
                        struct error *error)
{
    size_t written = 0;
    for (size_t i = 0; i < migration->count; i++) {
        const struct migrated_file *file = &migration->items[i];
        if (is_input(file->file))
            continue;
        if (!replace_file(file->file->path, &file->text, error)) {
            if (written > 0)
                fail_between(flags, migration, written, error);
            return false;
        }
        written++;
    }
    return true;
}

/* ---- printing ---- */

/* For a program, such as patch, each byte counts; a terminal would obey what is in a file. */
static char *shown_line(const char *line, size_t length)
{
    char *shown = text_copy_bytes(line, length);
    if (!isatty(fileno(stdout)))
        return shown;
    for (char *at = shown; *at != '\0'; at++)
        if (*at == '\t' || (*at == '\r' && at[1] == '\0'))
            *at = ' ';
    text_make_utf8(shown);
    console_clean(shown);
    return shown;
}

static void print_diff_text(const char *diff)
{
    for (const char *line = diff; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        _cleanup_(memory_free) char *shown = shown_line(line, length);
        const char *color = line[0] == '+'   ? console_begin(stdout, CONSOLE_GREEN)
                            : line[0] == '-' ? console_begin(stdout, CONSOLE_RED)
                            : line[0] == '@' ? console_begin(stdout, CONSOLE_BLUE)
                                             : "";
        printf("%s%s%s\n", color, shown, color[0] == '\0' ? "" : console_end(stdout));
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

static void print_diffs(const struct migrate_flags *flags, const struct migration *migration)
{
    for (size_t i = 0; i < migration->count; i++) {
        const struct migrated_file *file = &migration->items[i];
        _cleanup_(text_done) struct text diff = {0};
        patch_diff(&file->patch, &file->lines, file->file->path, &diff);
        print_file(file->file->path, diff.bytes, flags->output == OUTPUT_JSON);
    }
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
            json_pack("{s:s, s:I, s:I, s:I, s:b}", "type", "summary", "files",
                      (json_int_t)migration->count, "moved", (json_int_t)migration->moved, "stay",
                      (json_int_t)findings->counts[FINDING_ERROR], "written", flags->writes));
    else
        fprintf(stderr, "%zu trigger%s moved%s in %zu file%s%s\n", migration->moved,
                text_plural(migration->moved), flags->is_back ? " back" : "", migration->count,
                text_plural(migration->count), what_next(flags, migration));
}

/* ---- the command ---- */

static void check_migrate(const struct command_line *line, struct text *mistakes)
{
    const struct migrate_flags *flags = line->flags;
    bool is_other = flags->connection != NULL || flags->lists_cluster;
    if (line->operand_count == 0 && !flags->lists_cluster)
        command_mistake(mistakes, "name a FILE, a FOLDER, or - for standard input");
    if (is_other && (flags->writes || flags->is_back))
        command_mistake(mistakes, "--%s changes nothing: remove --write and --back",
                        flags->lists_cluster ? "cluster" : "connection");
    if (flags->lists_cluster && flags->connection != NULL)
        command_mistake(mistakes, "--cluster and --connection exclude each other");
    if (flags->is_back && option_is_given(line->values, "type"))
        command_mistake(mistakes, "--back takes the type from the metadata: remove --type");
    for (size_t i = 0; flags->writes && flags->output == OUTPUT_JSON && i < line->operand_count;
         i++)
        if (text_equal(line->operands[i], "-"))
            command_mistake(mistakes, "--write prints standard input, and --output json other "
                                      "lines: name a file, or remove --output");
    if (flags->context != NULL && (!flags->lists_cluster || line->operand_count > 0))
        command_mistake(mistakes, "--context is for --cluster without files");
}

static const char *address_of(const struct migrate_flags *flags)
{
    return flags->scaler_address == NULL ? DEFAULT_ADDRESS : flags->scaler_address;
}

static bool print_connection(const struct migrate_flags *flags, const struct manifests *manifests,
                             struct error *error)
{
    _cleanup_(text_done) struct text keys = {0};
    if (!connection_keys_write(scaler_list, manifests, flags->connection, &keys, error))
        return false;
    fputs(keys.bytes, stdout);
    return true;
}

static bool list_cluster(const struct command_line *line, struct manifests *manifests,
                         struct findings *findings, struct error *error)
{
    const struct migrate_flags *flags = line->flags;
    const struct fleet_settings settings = {
        .scalers = scaler_list,
        .context = flags->context,
        .scaler_address = address_of(flags),
        .authentication = flags->authentication,
        .authentication_kind =
            flags->authentication_kind == 0 ? NULL : kinds[flags->authentication_kind],
        .type = option_is_given(line->values, "type") ? types[flags->type] : NULL,
        .is_json = flags->output == OUTPUT_JSON,
    };
    if (manifests->file_count == 0 && !kubectl_read(flags->context, manifests, findings, error))
        return false;
    fleet_print(&settings, manifests, findings);
    return true;
}

static int migrate_files(const struct command_line *line, const struct manifests *manifests,
                         struct findings *findings, struct error *error)
{
    const struct migrate_flags *flags = line->flags;
    _cleanup_(migration_done) struct migration migration = {0};
    const struct migration_settings settings = {
        .scalers = scaler_list,
        .scaler_address = address_of(flags),
        .authentication = flags->authentication,
        .is_cluster_wide = flags->authentication_kind == 0,
        .is_readdressed = flags->scaler_address != NULL,
        .type = types[flags->type],
        .is_retyped = option_is_given(line->values, "type"),
        .is_back = flags->is_back,
    };
    migration_make(&settings, manifests, &migration, findings);
    findings_sort(findings);
    findings_print(findings, stderr, flags->output == OUTPUT_JSON, false);
    if (!flags->writes)
        print_diffs(flags, &migration);
    bool is_written = !flags->writes || write_files(flags, &migration, error);
    if (flags->writes && is_written)
        write_input(manifests, &migration);
    if (is_written)
        print_summary(flags, &migration, findings);
    return is_written && findings->counts[FINDING_ERROR] == 0 ? 0 : 1;
}

static int run_migrate(const struct command_line *line, struct error *error)
{
    _cleanup_(manifests_done) struct manifests manifests = {0};
    _cleanup_(findings_done) struct findings findings = {0};
    const struct migrate_flags *flags = line->flags;
    manifests.reads_templates = flags->connection == NULL && !flags->lists_cluster;
    manifests.cluster_namespace = flags->keda_namespace;
    for (size_t i = 0; i < line->operand_count; i++)
        manifests_add(&manifests, line->operands[i], &findings);
    for (size_t i = 0; flags->namespace != NULL && i < manifests.object_count; i++)
        if (manifests.objects[i].namespace == NULL)
            manifests.objects[i].namespace = flags->namespace;
    if (flags->connection == NULL && !flags->lists_cluster)
        return migrate_files(line, &manifests, &findings, error);
    if (flags->connection != NULL)
        findings_print(&findings, stderr, flags->output == OUTPUT_JSON, true);
    bool good = flags->lists_cluster ? list_cluster(line, &manifests, &findings, error)
                                     : print_connection(flags, &manifests, error);
    return good && findings.counts[FINDING_ERROR] == 0 ? 0 : 1;
}

const struct command command_migrate = {
    .name = "migrate",
    .summary = "move triggers of KEDA's own types to Backlog, and back",
    .operands = "[FILE|FOLDER|- ...]",
    .min_operands = 0,
    .max_operands = SIZE_MAX,
    .about = "Prints the diff that moves triggers such as `type: kafka` to Backlog: another type, "
             "and the keys scalerAddress and scaler. All other bytes stay: comments, order, Helm's "
             "{{ }}. ScaledObjects, ScaledJobs, Helm templates and Kustomize patches are read. A "
             "TriggerAuthentication stays, for a server with --kubernetes. What cannot move stays, "
             "with the reason.",
    .exit_status = "0 everything moved that is of a type that Backlog has; 1 something could not "
                   "be moved",
    .examples = {{"change the files; without --write a diff is printed",
                  "backlog migrate --write --scaler-address backlog.keda.svc:9090 deploy/"},
                 {"and back", "backlog migrate --back --write deploy/"},
                 {"what a cluster could move, and in which order", "backlog migrate --cluster"}},
    .flags = table,
    .flags_size = sizeof(struct migrate_flags),
    .check = check_migrate,
    .run = run_migrate,
};
