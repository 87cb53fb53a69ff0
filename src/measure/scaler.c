#include "measure/scaler.h"

#include "base/text.h"

static _Thread_local uint64_t tenant_of_thread;

uint64_t scaler_tenant(void)
{
    return tenant_of_thread;
}

void scaler_set_tenant(uint64_t tenant)
{
    tenant_of_thread = tenant;
}

const struct scaler *scaler_find(const struct scaler *const *scalers, const char *name)
{
    for (; *scalers != NULL; scalers++)
        if (text_equal((*scalers)->name, name) && (*scalers)->absent == NULL)
            return *scalers;
    return NULL;
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
