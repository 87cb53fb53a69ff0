#include "measure/scaler.h"

#include "base/memory.h"
#include "base/text.h"
#include "measure/scaler_internal.h"

static _Thread_local bool thread_reconnects, thread_allows_local;

bool scaler_reconnects(void)
{
    return thread_reconnects;
}

void scaler_set_reconnects(bool reconnects)
{
    thread_reconnects = reconnects;
}

bool scaler_allows_local(void)
{
    return thread_allows_local;
}

void scaler_set_allows_local(bool allows_local)
{
    thread_allows_local = allows_local;
}

const struct scaler *scaler_find(const struct scaler *const *scalers, const char *name)
{
    for (; *scalers != NULL; scalers++)
        if (text_equal((*scalers)->name, name) && (*scalers)->absent == NULL)
            return *scalers;
    return NULL;
}

void scaler_add_unknown(const struct scaler *const *scalers, const char *name,
                        struct error *mistakes)
{
    _cleanup_(text_done) struct text names = {0};
    const char *why = "is unknown";
    for (; *scalers != NULL; scalers++)
        if ((*scalers)->absent == NULL)
            text_addf(&names, "%s%s", names.length == 0 ? "" : ", ", (*scalers)->name);
        else if (text_equal((*scalers)->name, name))
            why = (*scalers)->absent;
    const char *all = names.length == 0 ? "none" : names.bytes;
    if (name == NULL)
        error_add(mistakes, "scaler is missing: the kind of source; there are: %s", all);
    else
        error_add(mistakes, "scaler \"%.*s\" %s: there are: %s", (int)text_cut(name, 64), name, why,
                  all);
}

void scalers_prepare(const struct scaler *const *scalers)
{
    for (; *scalers != NULL; scalers++)
        if ((*scalers)->prepare != NULL)
            (*scalers)->prepare();
}

void scaler_check(const struct scaler *scaler, const struct options *options,
                  struct error *mistakes)
{
    if (scaler->check_connection != NULL)
        scaler->check_connection(options->connection, mistakes);
    if (scaler->check != NULL)
        scaler->check(options, mistakes);
}
