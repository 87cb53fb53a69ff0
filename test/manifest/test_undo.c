/* `migrate --undo`: takes back a whole migration, or nothing of it. */
#include "base/memory.h"
#include "manifest/fixture.h"
#include "manifest/migration_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void a_changed_file_is_not_taken_back(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back = undone("metadata:\n"
                                               "  # backlog migrate: scalerAddress, scaler added\n"
                                               "  scalerAddress: b:1\n"
                                               "  mine: 1\n"
                                               "  scaler: kafka\n",
                                               &findings);
    assert_null(back);
    assert_finding(&findings, FINDING_ERROR, 4, "\"scaler\" was here");
}

/* Values may change: only what was added must still be what it was. */
static void a_changed_value_is_taken_back(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back = undone("metadata:\n"
                                               "  # backlog migrate: scalerAddress, scaler added\n"
                                               "  scalerAddress: other:1\n"
                                               "  scaler: kafka\n"
                                               "  lagThreshold: \"50\"\n",
                                               &findings);
    assert_string_equal(back, "metadata:\n  lagThreshold: \"50\"\n");
}

/* ---- comments that somebody has edited ---- */

static const char edited_before[] = HEAD
    "  fallback: {failureThreshold: 3, replicas: 6}\n"
    "  triggers:\n"
    "  - type: kafka\n"
    "    metadata:\n"
    "      bootstrapServers: k:1\n"
    "      unsafeSsl: \"true\"\n"
    "      topic: t\n"
    "      consumerGroup: g\n"
    "  - metadata:\n"
    "      address: r:1\n"
    "      listName: x\n"
    "    type: redis\n"
    "    authenticationRef:\n"
    "      name: rabbit\n"
    "  - type: redis\n"
    "    metadata:\n"
    "      address: r:1\n"
    "      listName: z\n"
    "      ignored: x\n"
    "      # and why\n"
    "      ignoredToo: x\n"
    "      unknown: x\n"
    "  - {type: redis, metadata: {address: 'r:1', listName: y}, authenticationRef: {name: env}}\n"
    "---\n"
    "kind: TriggerAuthentication\n"
    "metadata: {name: env, namespace: shop}\n"
    "spec: {env: [{parameter: password, name: REDIS_PASSWORD}]}\n" AUTHENTICATION;

/* The edit of a line with a mark: what stands instead of it. False: there is no such edit of this line. */
static bool edit_mark(int way, const char *line, size_t length, struct text *text)
{
    static const char mark[] = "# backlog migrate: ";
    const char *words = strstr(line, mark) + strlen(mark);
    const char *end = line + length - 1;
    const char *comma = memchr(words, ',', (size_t)(end - words));
    const char *last = comma;
    for (const char *next = comma; next != NULL;
         next = memchr(next + 1, ',', (size_t)(end - next - 1)))
        last = next;
    const char *verb = last == NULL ? words : last + 2;
    verb += strcspn(verb, " \n");
    switch (way) {
    case 0: /* the line is cut out */
        return true;
    case 1: /* a capital */
        text_add_bytes(text, line, (size_t)(words - line) - strlen(mark));
        text_addf(text, "# Backlog migrate: %.*s\n", (int)(end - words), words);
        return true;
    case 2: /* without the last word */
        text_addf(text, "%.*s%.*s\n", (int)((last == NULL ? words : last) - line), line,
                  (int)(end - verb), verb);
        return verb < end;
    case 3: /* without the first */
        text_addf(text, "%.*s%.*s\n", (int)(words - line), line,
                  comma == NULL ? 0 : (int)(end - comma - 2), comma == NULL ? "" : comma + 2);
        return comma != NULL;
    case 4: /* another verb */
        text_addf(text, "%.*s %s\n", (int)(verb - line), line,
                  strncmp(verb, " added", strlen(" added")) == 0 ? "in place of:" : "added");
        return verb < end;
    case 5: /* none */
        text_addf(text, "%.*s\n", (int)(words - line), line);
        return true;
    default:
        return false;
    }
}

/* All of it is taken back, or nothing. */
static void assert_whole_or_nothing(const char *edited, const char *mark, int way)
{
    _cleanup_(findings_done) struct findings findings = {0};
    _cleanup_(memory_free) char *back = undone(edited, &findings);
    if (back != NULL && strcmp(back, edited_before) == 0)
        return;
    if (back != NULL)
        fail_msg("way %d of editing \"%.60s\" takes back a part:\n%s", way, mark, back);
    assert_int_equal(findings.count, 1);
    assert_int_equal(findings.items[0].level, FINDING_ERROR);
    assert_true(findings.items[0].line > 0);
    assert_non_null(strstr(findings.items[0].text, "by hand"));
}

static void an_edited_comment_takes_back_nothing(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    size_t edits = 0;
    settings.authentication = "backlog";
    _cleanup_(memory_free) char *there = migrated(edited_before, &findings, NULL);
    settings.authentication = NULL;
    assert_non_null(there);
    for (const char *at = there, *line; (line = strstr(at, "# backlog migrate: ")) != NULL;) {
        while (line > there && line[-1] != '\n')
            line--;
        size_t length = strcspn(line, "\n") + 1;
        for (int way = 0; way <= 5; way++) {
            _cleanup_(text_done) struct text edited = {0};
            text_add_bytes(&edited, there, (size_t)(line - there));
            if (!edit_mark(way, line, length, &edited))
                continue;
            text_add(&edited, line + length);
            assert_whole_or_nothing(edited.bytes, line, way);
            edits++;
        }
        at = line + length;
    }
    assert_true(edits > 20);
}

/* Each of the lines that are kept is cut out, and is there twice. */
static void a_missing_line_takes_back_nothing(void **state)
{
    (void)state;
    _cleanup_(findings_done) struct findings findings = {0};
    size_t lines = 0;
    _cleanup_(memory_free) char *there = migrated(edited_before, &findings, NULL);
    assert_non_null(there);
    for (const char *line = there; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n") + 1;
        _cleanup_(text_done) struct text cut = {0};
        _cleanup_(text_done) struct text twice = {0};
        if (strncmp(line + strspn(line, " "), "#|", 2) != 0)
            continue;
        text_add_bytes(&cut, there, (size_t)(line - there));
        text_add(&cut, line + length);
        text_add_bytes(&twice, there, (size_t)(line - there) + length);
        text_add(&twice, line);
        assert_whole_or_nothing(cut.bytes, line, 6);
        assert_whole_or_nothing(twice.bytes, line, 7);
        lines++;
    }
    assert_true(lines > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_file_is_not_taken_back),
        cmocka_unit_test(a_changed_value_is_taken_back),
        cmocka_unit_test(an_edited_comment_takes_back_nothing),
        cmocka_unit_test(a_missing_line_takes_back_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
