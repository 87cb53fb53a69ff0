/* krb5.conf from a trigger: nothing of it makes the Kerberos library read files of ours, or load
 * code. */
#include "kafka/login/kerberos_config.h"

#include "base/memory.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* As distributions and the documentation of Kafka have them. */
static void usual_settings_are_accepted(void **state)
{
    (void)state;
    static const char text[] = "# comment\n"
                               "[logging]\n"
                               " default = FILE:/var/log/krb5libs.log\n"
                               "\n"
                               "[libdefaults]\n"
                               "    dns_lookup_realm = false\n"
                               "    ticket_lifetime = 24h\r\n"
                               "    default_realm = EXAMPLE.ORG\n"
                               "    default_ccache_name = KEYRING:persistent:%{uid}\n"
                               "    pkinit_anchors = FILE:/etc/pki/tls/certs/ca-bundle.crt\n"
                               "    permitted_enctypes = aes256-cts-hmac-sha1-96, aes128-cts\n"
                               "    kdc_timesync = \"1\"\n"
                               "    qualify_shortname = \"\"\n"
                               "    err_fmt = {\n"
                               "        any = thing\n"
                               "    }\n"
                               "[realms]\n"
                               "  EXAMPLE.ORG = {\n"
                               "     kdc = kdc.example.org:88\n"
                               "     kdc = tcp/[2001:db8::1]:88\n"
                               "     kdc = [2001:db8::1]:88\n"
                               "     kdc = https://gateway.example.org/KdcProxy\n"
                               "     admin_server = kerberos.example.org\n"
                               "     auth_to_local = RULE:[1:$1@$0](.*@EXAMPLE)s/@.*//\n"
                               "     auth_to_local_names = {\n"
                               "        fred = freddie\n"
                               "     }\n"
                               "     default_domain = example.org\n"
                               "  }\n"
                               "; another comment\n"
                               "[domain_realm]*\n"
                               "  .example.org = EXAMPLE.ORG\n"
                               "[appdefaults]\n"
                               "  pam = {\n"
                               "    keytab = FILE:/etc/krb5.keytab\n"
                               "  }\n"
                               "[capaths]\n"
                               "  A.ORG = {\n"
                               "    B.ORG = .\n"
                               "  }\n";
    static const char expected[] = "[libdefaults]\n"
                                   "dns_lookup_realm = false\n"
                                   "ticket_lifetime = 24h\n"
                                   "default_realm = EXAMPLE.ORG\n"
                                   "permitted_enctypes = aes256-cts-hmac-sha1-96, aes128-cts\n"
                                   "kdc_timesync = 1\n"
                                   "qualify_shortname = \"\"\n"
                                   "[realms]\n"
                                   "EXAMPLE.ORG = {\n"
                                   "kdc = kdc.example.org:88\n"
                                   "kdc = tcp/[2001:db8::1]:88\n"
                                   "kdc = [2001:db8::1]:88\n"
                                   "kdc = https://gateway.example.org/KdcProxy\n"
                                   "default_domain = example.org\n"
                                   "}\n"
                                   "[domain_realm]\n"
                                   ".example.org = EXAMPLE.ORG\n"
                                   "[capaths]\n"
                                   "A.ORG = {\n"
                                   "B.ORG = .\n"
                                   "}\n";
    _cleanup_(error_done) struct error mistakes = {0};
    _cleanup_(memory_free) char *result = kafka_kerberos_config(text, &mistakes);
    assert_string_equal(error_text(&mistakes), "");
    assert_string_equal(result, expected);
}

static void settings_that_read_files_or_load_code_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"include /etc/shadow\n", "line 1: include is not allowed"},
        {"[libdefaults]\n  include /etc/shadow\n", "line 2: include is not allowed"},
        {"includedir /etc/krb5.conf.d/\n", "line 1: includedir is not allowed"},
        {"include\t/etc/x = y\n", "line 1: include is not allowed"},
        {"module /tmp/evil.so:x\n", "line 1: module is not allowed"},
        {"module = /tmp/evil.so\n", "module is outside of a section"},
        {"[plugins]\n ccselect = {\n module = x:/tmp/evil.so\n }\n", "plugins is not allowed"},
        {"[libdefaults]\n plugin_base_dir = /tmp\n", "line 2: plugin_base_dir is not allowed"},
        {"[libdefaults]\n default_keytab_name = FILE:/etc/krb5.keytab\n",
         "default_keytab_name is not allowed: the key keytab has the keytab"},
        {"[libdefaults]\n default_client_keytab_name = /x\n", "default_client_keytab_name is not"},
        {"[libdefaults]\n kcm_socket = /run/x\n", "kcm_socket is not allowed"},
        {"[libdefaults]\n pkinit_identities = PKCS11:/tmp/evil.so\n", "pkinit_identities is not"},
        {"[libdefaults]\n default_realm = FILE:/etc/passwd\n", "default_realm must be a name"},
        {"[libdefaults]\n default_realm = A\"\\nB\n", "default_realm must be a name"},
        {"[libdefaults]\n default_realm = {\n", "default_realm cannot have braces"},
        {"[realms]\n A = {\n http_anchors = DIR:/etc\n }\n", "http_anchors is not allowed"},
        {"[realms]\n A = {\n kdc = /run/kdc.socket\n }\n", "kdc must be an address"},
        {"[realms]\n A = {\n kdc = /[x\n }\n", "kdc must be an address"},
        {"[realms]\n A = {\n kdc = unix:/run/kdc\n }\n", "kdc must be an address"},
        {"[realms]\n A = {\n kdc = FILE:/etc/x\n }\n", "kdc must be an address"},
        {"[realms]\n A = {\n kdc = \" /run/kdc\"\n }\n", "kdc must be an address"},
        {"[realms]\n A = {\n kdc = \" FILE:/etc/x\"\n }\n", "kdc must be an address"},
        {"[realms]\n A = {\n kdc = %{libdir}\n }\n", "kdc must be an address"},
        {"[realms]\n A = {\n B = {\n kdc = a\n }\n }\n", "B cannot have braces"},
        {"[realms]\n kdc = a\n", "kdc is not where it belongs"},
        {"[realms]\n A/../B = {\n kdc = a\n }\n", "A/../B cannot have braces"},
        {"[domain_realm]\n a = /etc\n", "a must be a name"},
        {"[domain_realm]\n include = A\n", "include is not allowed here"},
        {"[realms]\n include = {\n kdc = a\n }\n", "include cannot have braces"},
        {"[capaths]\n A = {\n includedir = .\n }\n", "includedir is not allowed here"},
        {"[kdcdefaults]\n", "kdcdefaults is not allowed"},
        {"[realms]\n module = {\n kdc = a\n }\n", "module cannot have braces"},
        {"[domain_realm]\n module = A\n", "module is not allowed here"},
        {"[appdefaults]\n include = A\n", "include is not allowed here"},
        {"[appdefaults]\n a = {\n module = b:/tmp/evil.so\n }\n", "module is not allowed here"},
        {"[logging]\n includedir = {\n a = b\n }\n", "includedir cannot have braces"},
        {"[appdefaults]\n include /etc/passwd\n", "include is not allowed"},
        {"[libdefaults]\n default_realm = \"\"\n", "default_realm must be a name"},
        {"[libdefaults]\n qualify_shortname = /etc\n", "qualify_shortname must be a name, or \"\""},
        {"[libdefaults]\n rdns = perhaps\n", "rdns must be true or false"},
        {"[libdefaults]\n clockskew = soon\n", "clockskew must be a number or a time"},
        {"[libdefaults]\n ticket_lifetime =\n", "ticket_lifetime must be a number or a time"},
        {"[libdefaults]\n permitted_enctypes = /etc\n", "permitted_enctypes must be names"},
        {"[libdefaults]\n permitted_enctypes = a include /etc\n",
         "permitted_enctypes must be names"},
        {"[capaths]\n A = {\n B = a include /etc\n }\n", "B must be a name"},
        {"[realms]\n A = {\n", "a { is not closed"},
        {"}\n", "} closes nothing"},
        {"[realms]\n }\n", "} closes nothing"},
        {"[libdefaults\n", "a section is [name]"},
        {"[", "a section is [name]"},
        {"*", "line 1: it is not allowed"},
        {"= x", "is outside of a section"},
        {"[libdefaults]\n=x\n", "line 2: is not allowed here"},
        {"[libdefaults]\nrdns\n", "rdns is not allowed: a line is"},
        {"[appdefaults]\n a = {\n b = {\n c = {\n d = {\n e = {\n", "too many braces"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        _cleanup_(error_done) struct error mistakes = {0};
        _cleanup_(memory_free) char *result = kafka_kerberos_config(cases[i].text, &mistakes);
        if (result != NULL || strstr(error_text(&mistakes), cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].text, error_text(&mistakes));
    }
}

/* As where kerberosConfig and keytab, or a password, are swapped. */
static void a_mistake_shows_nothing_of_a_line_that_is_no_setting(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "BQIAAABHAAIAC0VYQU1QTEUuT1JHAAVrYWZrYQ\n",
        "BQIAAABHAAIAC0VYQU1QTEUuT1JHAAVrYWZrYQ==\n",
        "BQIAAABHAAIAC0VYQU1QTEUuT1JHAAVrYWZrYQ = x\n",
        "[libdefaults]\nBQIAAABH/AAIAC0VYQU1QTEUuT1JHAAVrYWZrYQ+AAIAC0VYQU1QTEUuT1JHAAVrYWZrYQ==",
        "[libdefaults]\nBQIhunter2",
        "BQI horse battery staple",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        _cleanup_(error_done) struct error mistakes = {0};
        assert_null(kafka_kerberos_config(texts[i], &mistakes));
        if (strstr(error_text(&mistakes), ": it is ") == NULL ||
            strstr(error_text(&mistakes), "BQI") != NULL)
            fail_msg("%s: %s", texts[i], error_text(&mistakes));
    }
}

static void many_mistakes_are_cut(void **state)
{
    (void)state;
    struct text text = {0};
    for (int i = 0; i < 10000; i++)
        text_add(&text, "include /etc/passwd\n");
    _cleanup_(error_done) struct error mistakes = {0};
    assert_null(kafka_kerberos_config(text.bytes, &mistakes));
    assert_true(strlen(error_text(&mistakes)) < 2048);
    text_done(&text);
}

/* The Kerberos library reads lines into 2,048 bytes, and takes what is behind them for a line of
 * its own. */
static void assert_no_directive(const char *config)
{
    enum { LIBRARY_LINE = 2047 };
    static const char *const directives[] = {"include", "includedir", "module", "[plugins]"};
    for (const char *line = config; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        length = length > LIBRARY_LINE ? LIBRARY_LINE : length + 1;
        const char *word = line + strspn(line, " \t");
        for (size_t i = 0; i < ARRAY_LENGTH(directives); i++)
            if (strncmp(word, directives[i], strlen(directives[i])) == 0)
                fail_msg("a line that begins with %.40s", word);
        line += length;
    }
}

/* What `follows` begins with the byte after so many on its line; false: it was refused. */
static bool passes_behind(size_t length, const char *key, const char *filler, const char *follows)
{
    _cleanup_(error_done) struct error mistakes = {0};
    struct text text = {0};
    text_add(&text, "[libdefaults]\n");
    size_t begin = text.length;
    text_add(&text, key);
    while (text.length - begin < length)
        text_add(&text, filler);
    text.length = begin + length;
    text_addf(&text, "%s\n[realms]\nA = {\nkdc = a\n}\n", follows);
    _cleanup_(memory_free) char *result = kafka_kerberos_config(text.bytes, &mistakes);
    text_done(&text);
    if (result != NULL)
        assert_no_directive(result);
    return result != NULL;
}

static void a_long_line_never_becomes_another(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "permitted_enctypes = ", "kdc_timesync = ",  "# ", "", "extra_addresses = ",
        "default_realm = ",      "pkinit_anchors = "};
    static const char *const fillers[] = {"aes256-cts ", "1 ", " ", "a"};
    static const char *const follows[] = {"include /etc/passwd", "includedir /etc", "[plugins]",
                                          "module a:/tmp/evil.so", " include /etc/passwd"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        for (size_t j = 0; j < ARRAY_LENGTH(fillers); j++)
            for (size_t k = 0; k < ARRAY_LENGTH(follows); k++)
                for (size_t length = 2000; length < 2100; length++)
                    assert_false(passes_behind(length, keys[i], fillers[j], follows[k]));
    assert_true(passes_behind(1000, "permitted_enctypes = ", "aes256-cts ", ""));
    assert_false(passes_behind(1001, "permitted_enctypes = ", "aes256-cts ", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_settings_are_accepted),
        cmocka_unit_test(settings_that_read_files_or_load_code_are_refused),
        cmocka_unit_test(a_mistake_shows_nothing_of_a_line_that_is_no_setting),
        cmocka_unit_test(many_mistakes_are_cut),
        cmocka_unit_test(a_long_line_never_becomes_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
