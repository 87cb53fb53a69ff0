/* KEDA's certificates for Backlog, other servers of Backlog, and the type. */
#include "base/memory.h"
#include "manifest/migration_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

/* KEDA's certificates take the place of the source's authentication, which the metadata names. */
static void mtls_has_the_name_in_the_metadata(void **state)
{
    (void)state;
    settings.authentication = "backlog";
    settings.is_cluster_wide = true;
#define REDIS "  - type: redis\n    metadata:\n      address: r:6379\n      listName: x\n"
    assert_migrates(HEAD "  triggers:\n" REDIS "    authenticationRef: {name: redis}\n",
                    HEAD "  triggers:\n"
                         "  - type: external-push\n"
                         "    metadata:\n"
                         "      scalerAddress: backlog.keda.svc:9090\n"
                         "      enableTLS: \"true\"\n"
                         "      scaler: redis\n"
                         "      triggerAuthentication: redis\n"
                         "      address: r:6379\n"
                         "      listName: x\n"
                         "    authenticationRef: {name: backlog, kind: "
                         "ClusterTriggerAuthentication}\n");
    assert_migrates(HEAD "  triggers:\n" REDIS "    authenticationRef:\n      name: 'redis' # one\n"
                         "      kind: ClusterTriggerAuthentication\n",
                    NULL);
    assert_migrates(HEAD "  triggers:\n" REDIS "    authenticationRef:\n      name: 'redis' # one\n"
                         "    name: jobs\n",
                    NULL);
    static const char *const last[] = {"redis", "redis\n", "redis # one\n", "redis\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(last); i++) { /* of the file, as KEDA's pages have it */
        _cleanup_(memory_free) char *text = text_format(
            HEAD "  triggers:\n" REDIS "    authenticationRef:\n      name: %s", last[i]);
        assert_migrates(text, NULL);
    }
    assert_migrates(HEAD "  triggers:\n" REDIS, NULL);
    assert_stays(HEAD "  triggers:\n" REDIS "    authenticationRef:\n", "is empty: remove it");
    assert_stays(HEAD "  triggers:\n" REDIS "    {{- if .Values.x }}\n"
                      "    authenticationRef: {name: x}\n    {{- else }}\n"
                      "    authenticationRef: {name: y}\n    {{- end }}\n",
                 "authenticationRef is written 2 times");
    /* Without KEDA's certificates where it is not there. */
    assert_stays(HEAD "  triggers:\n" REDIS "    {{- if .Values.x }}\n    # one\n"
                      "    authenticationRef: {name: x}\n    {{- end }}\n",
                 "the template writes its authenticationRef");
    assert_migrates(HEAD "  triggers:\n  {{- if .Values.x }}\n" REDIS "      {{- if .Values.y }}\n"
                         "      databaseIndex: \"1\"\n      {{- end }}\n"
                         "    authenticationRef: {name: x}\n  {{- end }}\n",
                    NULL);
    assert_migrates(HEAD "  triggers:\n  {{- range .Values.x }}\n"
                         "  - authenticationRef: {name: x}\n    type: redis\n"
                         "    metadata: {address: 'r:1', listName: x}\n  {{- end }}\n",
                    NULL);
    assert_migrates(HEAD "  triggers:\n  - metadata:\n      address: r:6379\n      listName: x\n"
                         "    type: redis\n",
                    NULL);
    assert_migrates(
        HEAD "  triggers: [{type: redis, metadata: {address: 'r:6379', listName: x}}]\n", NULL);
    settings.is_cluster_wide = false;
    assert_migrates(HEAD "  triggers:\n" REDIS
                         "    authenticationRef: {kind: ClusterTriggerAuthentication, name: r}\n",
                    NULL);
    settings.authentication = NULL;
}

/* A name is a text for the API of Kubernetes, and what looks like a number, or true, is none. */
static void names_are_texts(void **state)
{
    (void)state;
    static const char *const names[] = {"123", "1e3", "0x1f", "true", "on", "4tax", "2026-01-31"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *text =
            text_copy(HEAD "  triggers:\n" REDIS "    authenticationRef:\n      name: x\n");
        _cleanup_(memory_free) char *named = text_format("      name: \"%s\"\n", names[i]);
        settings.authentication = names[i];
        _cleanup_(memory_free) char *there = migrated(text, &findings);
        assert_non_null(there);
        assert_non_null(strstr(there, named));

        settings.authentication = "backlog";
        _cleanup_(memory_free) char *external =
            text_format(HEAD "  triggers:\n  - type: external\n    metadata:\n      address: r:1\n"
                             "      listName: x\n      scaler: redis\n      scalerAddress: b:1\n"
                             "      enableTLS: \"true\"\n      triggerAuthentication: \"%s\"\n"
                             "    authenticationRef:\n      name: backlog\n",
                        names[i]);
        _cleanup_(memory_free) char *back = migrated_back(external, &findings);
        assert_non_null(back);
        assert_non_null(strstr(back, named));
    }
    settings.authentication = "backlog";
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *there = migrated(
        HEAD "  triggers:\n" REDIS "    authenticationRef:\n      name: 4tax\n", &findings);
    assert_non_null(there); /* which the way back writes in quotes */
    settings.authentication = NULL;
}

/* For KEDA an empty name is no authentication. */
static void an_empty_name_is_no_authentication_of_the_source(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    settings.authentication = "backlog";
    _cleanup_(memory_free) char *there = migrated(
        HEAD "  triggers:\n" REDIS "    authenticationRef:\n      name: \"\"\n", &findings);
    settings.authentication = NULL;
    assert_non_null(there);
    assert_non_null(strstr(there, "      name: \"backlog\"\n"));
    assert_null(strstr(there, "riggerAuthentication:"));
}

/* The source's authentication may have the name of KEDA's certificates, in its namespace. */
static void an_authentication_of_the_source_stays(void **state)
{
    (void)state;
    static const struct {
        const char *more; /* of the metadata */
        const char *kind;
        bool stays;
    } cases[] = {
        {"", "ClusterTriggerAuthentication", true},
        {"      enableTLS: \"false\"\n", "ClusterTriggerAuthentication", true},
        {"      enableTLS: \"true\"\n", "TriggerAuthentication", true},
        {"      enableTLS: \"true\"\n", "ClusterTriggerAuthentication", false},
    };
    settings.authentication = "backlog";
    settings.is_cluster_wide = true;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *text =
            text_format(HEAD "  triggers:\n  - type: external\n    metadata:\n      address: r:1\n"
                             "      listName: x\n      scaler: redis\n      scalerAddress: b:1\n%s"
                             "    authenticationRef:\n      name: backlog\n      kind: %s\n",
                        cases[i].more, cases[i].kind);
        _cleanup_(memory_free) char *back = migrated_back(text, &findings);
        assert_non_null(back);
        assert_true((strstr(back, "authenticationRef") != NULL) == cases[i].stays);
    }
    settings.authentication = NULL;
    settings.is_cluster_wide = false;
}

/* Whatever is between it and the action, and wherever the trigger begins. */
static void an_authentication_of_a_condition_stays(void **state)
{
    (void)state;
    settings.authentication = "backlog";
#define TRIGGER(before, ref)                                                                       \
    HEAD "  triggers:\n" REDIS before "    authenticationRef: {name: x}\n" ref
    static const char written[] = "the template writes its authenticationRef";
    assert_stays(
        TRIGGER("    {{- if .Values.x }}\n    metricType: AverageValue\n", "    {{- end }}\n"),
        written);
    assert_stays(TRIGGER("    {{- if and .Values.x\n           .Values.y }}\n", "    {{- end }}\n"),
                 written);
    assert_stays(
        TRIGGER("    {{-\tif .x }}\n    name: a\n    {{- else with .y }}\n", "    {{- end }}\n"),
        written);
    assert_stays(TRIGGER("    {{- if .x }}\n    {{- if .y }}\n    name: a\n    {{- end }}\n",
                         "    {{- end }}\n"),
                 written);
    assert_stays(HEAD
                 "  triggers:\n  -\n    {{- if .Values.x }}\n    authenticationRef: {name: x}\n"
                 "    {{- end }}\n    type: redis\n    metadata:\n      address: r:1\n"
                 "      listName: x\n",
                 written);
    assert_migrates(TRIGGER("    name: {{ if .x }}a{{ else }}b{{ end }}\n"
                            "    metricType: {{ iffy }}{{/* if */}}\n",
                            ""),
                    NULL);
    assert_migrates(TRIGGER("    {{- range .x }}\n    {{ .k }}: {{ .v }}\n    {{- end }}\n", ""),
                    NULL);
#undef TRIGGER
    settings.authentication = NULL;
}

/* A name that is not KEDA's certificates' says nothing of the one that stays. */
static void an_authentication_that_stays_is_noted(void **state)
{
    (void)state;
    static const char text[] =
        HEAD "  triggers:\n"
             "  - type: external\n"
             "    authenticationRef: {name: backlog}\n"
             "    metadata: {scalerAddress: b:1, enableTLS: '%s', scaler: redis, address: 'r:1', "
             "listName: x}\n";
    static const struct {
        const char *enable_tls;
        const char *authentication;
        bool is_noted;
    } table[] = {
        {"true", NULL, true},
        {"true", "wrong", true},
        {"true", "backlog", false},
        {"false", "wrong", false},
    };
    const struct migration_settings saved = settings;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *there = text_format(text, table[i].enable_tls);
        settings.authentication = table[i].authentication;
        _cleanup_(memory_free) char *back = migrated_back(there, &findings);
        settings = saved;
        assert_non_null(back);
        bool is_noted = false;
        for (size_t k = 0; k < findings.count; k++)
            is_noted = is_noted || strstr(findings.items[k].text, "authenticationRef stays");
        assert_true(is_noted == table[i].is_noted);
    }
}

/* Where a second release has its own address: what has moved before moves on, by its name, too. */
static void triggers_move_to_another_server(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    const char *before =
        HEAD "  triggers:\n"
             "  - type: external-push\n"
             "    authenticationRef: {name: backlog, kind: "
             "ClusterTriggerAuthentication}\n"
             "    metadata:\n"
             "      scalerAddress: \"b:1\"   # the first\n"
             "      enableTLS: \"true\"\n"
             "      scaler: redis\n"
             "      connectionName: c\n"
             "      listName: x\n"
             "  - {type: external, metadata: {scalerAddress: b:1, scaler: other}}\n"
             "  - {type: external, metadata: {scalerAddress: b:1, scaler: redis, "
             "address: r:1, listName: x}}\n"
             "  - {type: redis, metadata: {address: r:1, listName: y}}\n";
    const struct migration_settings saved = settings;
    settings.scaler_address = "shop:1";
    settings.authentication = "backlog-shop";
    settings.is_cluster_wide = true;
    settings.is_readdressed = true;
    _cleanup_(memory_free) char *after = migrated(before, &findings);
    settings = saved;
    assert_non_null(after);
    assert_non_null(strstr(after, "scalerAddress: \"shop:1\"   # the first\n"));
    assert_non_null(strstr(after, "{name: backlog-shop, kind: ClusterTriggerAuthentication}\n"));
    assert_non_null(strstr(after, "{scalerAddress: b:1, scaler: other}"));
    assert_non_null(strstr(after, "{scalerAddress: shop:1, enableTLS: \"true\", scaler: redis, "
                                  "address: r:1, listName: x}"));
    assert_non_null(strstr(after, "{scalerAddress: shop:1, enableTLS: \"true\", scaler: redis, "
                                  "address: r:1, listName: y}"));
    assert_null(strstr(after, "b:1, scaler: redis"));

    /* Only if an address was given. */
    _cleanup_(memory_free) char *unchanged =
        migrated(HEAD "  triggers:\n  - {type: external, metadata: {scalerAddress: b:1, scaler: "
                      "redis, address: r:1, listName: x}}\n",
                 &findings);
    assert_null(unchanged);
}

static const struct migration_settings tls_server = {.scalers = scaler_list,
                                                     .scaler_address = "backlog-tls:9090",
                                                     .type = "external-push",
                                                     .authentication = "backlog-tls",
                                                     .is_cluster_wide = true,
                                                     .is_readdressed = true};

static char *migrated_with(const struct migration_settings *chosen, const char *text,
                           struct findings *findings)
{
    const struct migration_settings saved = settings;
    settings = *chosen;
    char *result = migrated(text, findings);
    settings = saved;
    return result;
}

/* To a server without TLS, and from there to one with it: as if it had gone there at once. */
static void assert_gets_tls(const char *text)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *plain = migrated(text, &findings);
    assert_non_null(plain);
    _cleanup_(memory_free) char *at_once = migrated_with(&tls_server, text, &findings);
    _cleanup_(memory_free) char *later = migrated_with(&tls_server, plain, &findings);
    if (later == NULL)
        print_all(&findings);
    assert_non_null(later);
    assert_string_equal(later, at_once);
    const struct migration_settings saved = settings;
    settings = tls_server;
    _cleanup_(memory_free) char *back = migrated_back(later, &findings);
    settings = saved;
    assert_string_equal(back, text);
    assert_int_equal(findings.counts[FINDING_ERROR], 0);
}

static void triggers_that_have_moved_without_tls_get_it(void **state)
{
    (void)state;
#define REF "    authenticationRef: "
#define FLOW "metadata: {address: 'r:1', listName: x}"
    static const char *const texts[] = {
        HEAD "  triggers:\n" REDIS REF "{name: redis}\n",
        HEAD "  triggers:\n" REDIS,
        HEAD "  triggers:\n" REDIS REF "\n      name: 'redis' # one\n"
             "      kind: ClusterTriggerAuthentication\n",
        HEAD "  triggers:\n" REDIS REF "\n      name: redis",
        HEAD "  triggers:\n  - authenticationRef: {name: backlog-tls}\n    type: redis\n    " FLOW
             "\n",
        HEAD "  triggers: [{type: redis, authenticationRef: {name: x}, " FLOW "}]\n",
        HEAD "  triggers:\n  - type: redis\n    metadata: {address: 'r:1', listName: x, enableTLS: "
             "'true',"
             " unsafeSsl: 'true'}\n" REF "{name: x}\n",
        "{\"kind\": \"ScaledObject\", \"spec\": {\"triggers\": [{\"type\": \"redis\", "
        "\"metadata\": "
        "{\"address\": \"r:1\", \"listName\": \"x\"}, \"authenticationRef\": {\"name\": "
        "\"x\"}}]}}\n",
        HEAD "  x: {{ .Values.x }}\n  triggers:\n  {{- range .Values.queues }}\n  - type: redis\n"
             "    metadata:\n      {{- if .y }}\n      databaseIndex: \"1\"\n      {{- end }}\n"
             "      address: {{ .address }}\n      listName: {{ .name | quote }}\n" REF
             "{name: x} # {{ .z }}\n  {{- end }}\n",
        "kind: Kustomization\npatches:\n- target: {kind: ScaledJob}\n  patch: |-\n"
        "    - op: add\n      path: /spec/triggers/0\n      value:\n        type: redis\n"
        "        metadata:\n          address: r:1\n          listName: x\n"
        "        authenticationRef:\n          name: x\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_gets_tls(texts[i]);

    /* What needs no name in the metadata. The last is done. */
    _cleanup_(findings_done) struct findings findings = {0};
#define MOVED                                                                                      \
    "  - type: external-push\n    metadata:\n      scalerAddress: backlog-tls:9090 # one\n"
#define TLS MOVED "      enableTLS: \"true\"\n"
#define NAMED "authenticationRef: {name: backlog-tls, kind: ClusterTriggerAuthentication}\n"
    _cleanup_(memory_free) char *others = migrated_with(
        &tls_server,
        HEAD "  triggers:\n" MOVED "      scaler: redis\n      connectionName: c\n" REF
             "{name: x}\n" MOVED
             "      enableTLS: \"false\"\n      scaler: redis\n      triggerAuthentication: y\n" REF
             "{name: x}\n" MOVED "      scaler: redis\n    " NAMED TLS "      scaler: redis\n" REF
             "{name: backlog}\n" TLS "      scaler: redis\n    name: q\n" TLS
             "      scaler: redis\n    " NAMED MOVED "      scaler: other\n",
        &findings);
    assert_string_equal(others,
                        HEAD "  triggers:\n" TLS
                             "      scaler: redis\n      connectionName: c\n    " NAMED TLS
                             "      scaler: redis\n      triggerAuthentication: y\n    " NAMED TLS
                             "      scaler: redis\n    " NAMED TLS "      scaler: redis\n    " NAMED
                             "  - type: external-push\n    " NAMED
                             "    metadata:\n      scalerAddress: backlog-tls:9090 # one\n"
                             "      enableTLS: \"true\"\n      scaler: redis\n    name: q\n" TLS
                             "      scaler: redis\n    " NAMED MOVED "      scaler: other\n");
    assert_int_equal(findings.counts[FINDING_ERROR], 0);
    assert_null(migrated_with(&tls_server, others, &findings));

    /* KEDA would not verify the certificate. */
    _cleanup_(memory_free) char *unsafe = migrated_with(
        &tls_server, HEAD "  triggers:\n" MOVED "      scaler: redis\n      unsafeSsl: \"true\"\n",
        &findings);
    assert_non_null(unsafe);
    assert_int_equal(findings.counts[FINDING_WARNING], 1);
}

static void moved_triggers_that_cannot_get_tls_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *trigger, *reason;
    } cases[] = {
        {MOVED "      scaler: redis\n" REF "{name: {{ .x }}}\n",
         "the template writes its authenticationRef"},
        {MOVED "      scaler: redis\n" REF "{{ .x }}\n",
         "the template writes its authenticationRef"},
        {MOVED "      scaler: redis\n    {{- if .x }}\n" REF "{name: x}\n    {{- end }}\n",
         "the template writes its authenticationRef"},
        {MOVED "      scaler: redis\n    {{- if .x }}\n" REF "{name: x}\n    {{- else }}\n" REF
               "{name: y}\n    {{- end }}\n",
         "authenticationRef is written 2 times"},
        {"  - type: external\n    metadata:\n      {{- if .x }}\n      scalerAddress: b:1\n"
         "      {{- else }}\n      scalerAddress: b:2\n      {{- end }}\n      scaler: redis\n",
         "scalerAddress is written 2 times"},
        {MOVED "      enableTLS:\n      scaler: redis\n", "enableTLS is empty"},
        {MOVED "      scaler: redis\n" REF "\n", "is empty: remove it"},
        {"  - type: external\n    metadata:\n      scaler: redis\n",
         "scalerAddress is not written here"},
        {"  - &one\n    type: external\n    metadata: {scalerAddress: backlog-tls:9090, scaler: "
         "redis}\n"
         "  - *one\n",
         "YAML alias"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        _cleanup_(memory_free) char *text = text_format(HEAD "  triggers:\n%s", cases[i].trigger);
        assert_null(migrated_with(&tls_server, text, &findings));
        assert_error(&findings, cases[i].reason);
    }
#define PATCH(path, value)                                                                         \
    "- {op: replace, path: /spec/triggers/0/metadata" path ", value: " value "}\n"
    static const char *const parts[] = {
        PATCH("", "{scalerAddress: 'b:1', scaler: redis}"),
        PATCH("", "{scalerAddress: 'backlog-tls:9090', scaler: redis}"),
        PATCH("/scalerAddress", "b:1")};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        assert_null(migrated_with(&tls_server, parts[i], &findings));
        assert_error(&findings, "change it by hand");
    }
    _cleanup_(findings_done) struct findings findings = {0};
    assert_null(
        migrated_with(&tls_server, PATCH("/scalerAddress", "'backlog-tls:9090'"), &findings));
    assert_null(migrated_with(
        &tls_server,
        PATCH("", "{scalerAddress: 'backlog-tls:9090', enableTLS: 'true', scaler: redis}"),
        &findings));
    assert_int_equal(findings.count, 0);
#undef PATCH
}

/* Without --scaler-address that of the default address is meant, and of another one a note. */
static void without_an_address_triggers_of_other_servers_stay(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    struct migration_settings there = tls_server;
    there.is_readdressed = false;
    _cleanup_(memory_free) char *text =
        migrated_with(&there, HEAD "  triggers:\n" MOVED "      scaler: redis\n", &findings);
    assert_non_null(text);
    assert_non_null(strstr(text, "enableTLS: \"true\""));
    size_t before = findings.count;
    there.scaler_address = "backlog.keda.svc:9090";
    assert_null(
        migrated_with(&there, HEAD "  triggers:\n" MOVED "      scaler: redis\n", &findings));
    assert_int_equal(findings.count, before + 1);
    assert_null(migrated_with(&there, text, &findings));
    assert_int_equal(findings.count, before + 1);
    /* What a template writes is not known: it may have been changed by hand. */
    static const char *const refs[] = {"{name: {{ .x }}}\n", "{{ .x }}\n",
                                       "\n      {{- toYaml .x | nindent 6 }}\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(refs); i++) {
        _cleanup_(memory_free) char *templated = text_format(
            HEAD "  x: {{ 1 }}\n  triggers:\n" TLS "      scaler: redis\n" REF "%s", refs[i]);
        assert_null(migrated_with(&tls_server, templated, &findings));
        assert_int_equal(findings.counts[FINDING_ERROR], 0);
        assert_non_null(strstr(findings.items[findings.count - 1].text, "it must be backlog-tls"));
    }

    /* Without --authentication only the address changes. */
    struct migration_settings other = tls_server;
    other.scaler_address = "b:1";
    other.authentication = NULL;
    _cleanup_(memory_free) char *moved = migrated_with(
        &other, HEAD "  triggers:\n" TLS "      scaler: redis\n    " NAMED, &findings);
    assert_string_equal(moved, HEAD "  triggers:\n  - type: external-push\n    metadata:\n"
                                    "      scalerAddress: b:1 # one\n      enableTLS: \"true\"\n"
                                    "      scaler: redis\n    " NAMED);
}

/* ---- the type ---- */

#define JOB(type)                                                                                  \
    "---\nkind: ScaledJob\nmetadata: {name: j}\nspec:\n  triggers:\n  - {type: " type              \
    ", metadata: {scalerAddress: backlog.keda.svc:9090, scaler: redis, address: r:1, "             \
    "listName: x}}\n"

static const struct migration_settings to_external = {.scalers = scaler_list,
                                                      .scaler_address = "backlog.keda.svc:9090",
                                                      .type = "external",
                                                      .is_retyped = true};

static void scaled_objects_get_the_type(void **state)
{
    (void)state;
    const struct migration_settings saved = settings;
    settings = to_external;
    assert_migrates(HEAD "  triggers:\n" REDIS REF "{name: redis}\n",
                    HEAD "  triggers:\n  - type: external\n    metadata:\n"
                         "      scalerAddress: backlog.keda.svc:9090\n      scaler: redis\n"
                         "      address: r:6379\n      listName: x\n" REF "{name: redis}\n");
    assert_migrates("kind: Kustomization\npatches:\n- patch: |\n    kind: ScaledObject\n"
                    "    spec: {triggers: [{type: 'redis', metadata: {address: 'r:1', "
                    "listName: x}}]}\n",
                    "kind: Kustomization\npatches:\n- patch: |\n    kind: ScaledObject\n"
                    "    spec: {triggers: [{type: 'external', metadata: {scalerAddress: "
                    "backlog.keda.svc:9090, scaler: redis, address: 'r:1', listName: x}}]}\n");
    settings.authentication = "backlog";
    settings.is_cluster_wide = true;
    assert_migrates(HEAD "  triggers:\n" REDIS REF "{name: redis}\n", NULL);
    settings = saved;
}

/* KEDA's operator can crash of external-push there; and KEDA deletes the running jobs of one that
 * changes. */
static void a_scaled_job_is_external_with_either_type(void **state)
{
    (void)state;
    static const char *const types[] = {"external-push", "external"};
    static const char job[] = "kind: ScaledJob\nmetadata: {name: j}\nspec:\n  triggers:\n"
                              "  - {type: redis, metadata: {address: r:1, listName: x}}\n";
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        struct migration_settings chosen = to_external;
        chosen.type = types[i];
        _cleanup_(memory_free) char *text = migrated_with(&chosen, job, &findings);
        assert_non_null(text);
        assert_non_null(strstr(text, "{type: external, "));
        assert_null(migrated_with(&chosen, JOB("external"), &findings));
        assert_null(migrated_with(&chosen, JOB("external-push"), &findings));
        assert_int_equal(findings.counts[FINDING_ERROR], 0);
    }
}

/* Only if a type was given: somebody may have written the other one by hand. */
static void triggers_that_have_moved_get_the_type_that_is_given(void **state)
{
    (void)state;
#define AT(type, address, scaler)                                                                  \
    "  - type: " type " # one\n    metadata: {scalerAddress: " address ", scaler: " scaler "}\n"
#define HERE "backlog.keda.svc:9090"
    static const char before[] =
        HEAD "  triggers:\n" AT("external-push", HERE, "redis") AT("'external-push'", HERE, "redis")
            AT("external", HERE, "redis") AT("external-push", "b:1", "redis")
                AT("external-push", HERE, "other") JOB("external-push");
    static const char after[] =
        HEAD "  triggers:\n" AT("external", HERE, "redis") AT("'external'", HERE, "redis")
            AT("external", HERE, "redis") AT("external-push", "b:1", "redis")
                AT("external-push", HERE, "other") JOB("external-push");
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *text = migrated_with(&to_external, before, &findings);
    assert_string_equal(text, after);
    assert_int_equal(findings.count, 2);
    assert_string_equal(findings.items[0].text, "trigger of scaler redis gets type external");
    assert_null(migrated_with(&to_external, after, &findings));
    struct migration_settings other = to_external;
    other.is_retyped = false;
    assert_null(migrated_with(&other, before, &findings));
    other.type = "external-push";
    assert_null(migrated_with(&other, after, &findings));
    assert_int_equal(findings.count, 2);
    other.is_retyped = true;
    _cleanup_(memory_free) char *push = migrated_with(&other, after, &findings);
    assert_non_null(strstr(push,
                           AT("external-push", HERE, "redis") AT("'external-push'", HERE, "redis")
                               AT("external-push", HERE, "redis")));

    /* With the address and the certificates, in one edit. */
    struct migration_settings all = tls_server;
    all.type = "external";
    all.is_retyped = true;
    _cleanup_(memory_free) char *moved = migrated_with(&all, before, &findings);
    assert_non_null(moved);
    assert_non_null(strstr(moved,
                           "  - type: external # one\n    " NAMED
                           "    metadata: {scalerAddress: backlog-tls:9090, enableTLS: \"true\", "
                           "scaler: redis}\n"));
    assert_non_null(strstr(moved, AT("external-push", HERE, "other")));
    assert_int_equal(findings.counts[FINDING_ERROR], 0);
#undef AT
}

static void a_type_that_cannot_be_edited_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason; /* NULL: none */
    } cases[] = {
        {HEAD "  triggers:\n  - &one\n    type: external-push\n    metadata: {scalerAddress: " HERE
              ", scaler: redis}\n  - *one\n",
         "YAML alias"},
        {HEAD "  triggers:\n  - metadata: {scalerAddress: " HERE ", scaler: redis}\n"
              "    {{- if .x }}\n    type: external\n    {{- else }}\n"
              "    type: external-push\n    {{- end }}\n",
         "type is written 2 times"},
        {"- {op: replace, path: /spec/triggers/0/type, value: external-push}\n",
         "change it by hand"},
        {"- {op: replace, path: /spec/triggers/0/type, value: external}\n", NULL},
        {"kind: Kustomization\npatches:\n- target: {kind: ScaledJob}\n  patch: |\n"
         "    - {op: replace, path: /spec/triggers/0/type, value: external-push}\n",
         NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(findings_done) struct findings findings = {0};
        assert_null(migrated_with(&to_external, cases[i].text, &findings));
        if (cases[i].reason != NULL)
            assert_error(&findings, cases[i].reason);
        else
            assert_int_equal(findings.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mtls_has_the_name_in_the_metadata),
        cmocka_unit_test(names_are_texts),
        cmocka_unit_test(an_empty_name_is_no_authentication_of_the_source),
        cmocka_unit_test(an_authentication_of_the_source_stays),
        cmocka_unit_test(an_authentication_of_a_condition_stays),
        cmocka_unit_test(an_authentication_that_stays_is_noted),
        cmocka_unit_test(triggers_move_to_another_server),
        cmocka_unit_test(triggers_that_have_moved_without_tls_get_it),
        cmocka_unit_test(moved_triggers_that_cannot_get_tls_are_errors),
        cmocka_unit_test(without_an_address_triggers_of_other_servers_stay),
        cmocka_unit_test(scaled_objects_get_the_type),
        cmocka_unit_test(a_scaled_job_is_external_with_either_type),
        cmocka_unit_test(triggers_that_have_moved_get_the_type_that_is_given),
        cmocka_unit_test(a_type_that_cannot_be_edited_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
