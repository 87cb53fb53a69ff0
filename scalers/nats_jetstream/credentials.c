#include "nats_jetstream/credentials.h"

#include "base/memory.h"
#include "base/text.h"
#include "nats_jetstream/nkey.h"

#include <stdlib.h>
#include <string.h>

/* "-----BEGIN NATS USER JWT-----", a line with the text, and a line of dashes again. */
static char *text_below(const char *credentials, const char *heading)
{
    const char *found = strstr(credentials, heading);
    if (found == NULL)
        return NULL;
    const char *text = found + strlen(heading);
    text += strspn(text, "-");
    text += strspn(text, " \t\r\n");
    /* base64url has the dash too, but nothing in it begins with one: that is the closing line. */
    size_t length = text[0] == '-' ? 0 : strcspn(text, " \t\r\n");
    return length == 0 ? NULL : text_copy_bytes(text, length);
}

char *nats_credentials_jwt(const char *credentials)
{
    return text_below(credentials, "BEGIN NATS USER JWT");
}

char *nats_credentials_seed(const char *credentials)
{
    return text_below(credentials, "BEGIN USER NKEY SEED");
}

static natsStatus give_jwt(char **ret_jwt, char **ret_complaint, void *credentials)
{
    (void)ret_complaint;
    *ret_jwt = nats_credentials_jwt(credentials);
    return *ret_jwt == NULL ? NATS_ERR : NATS_OK;
}

static natsStatus sign_with(const char *seed, const char *key, char **ret_complaint,
                            unsigned char **ret_signature, int *ret_length, const char *nonce)
{
    natsStatus status = seed == NULL ? NATS_ERR : nats_Sign(seed, nonce, ret_signature, ret_length);
    if (status != NATS_OK)
        *ret_complaint = text_format("the seed in %s is not that of a NATS user", key);
    return status;
}

static natsStatus sign(char **ret_complaint, unsigned char **ret_signature, int *ret_length,
                       const char *nonce, void *credentials)
{
    char *seed = nats_credentials_seed(credentials);
    natsStatus status =
        sign_with(seed, "credentials", ret_complaint, ret_signature, ret_length, nonce);
    free(seed);
    return status;
}

natsStatus nats_credentials_set(natsOptions *options, const char *credentials)
{
    /* The callbacks only read it; nats.c's closures are not const. */
    return natsOptions_SetUserCredentialsCallbacks(options, give_jwt, (void *)credentials, sign,
                                                   (void *)credentials);
}

static natsStatus sign_by_nkey(char **ret_complaint, unsigned char **ret_signature, int *ret_length,
                               const char *nonce, void *seed)
{
    return sign_with(seed, "nkeySeed", ret_complaint, ret_signature, ret_length, nonce);
}

natsStatus nats_nkey_set(natsOptions *options, const char *seed)
{
    char public[NATS_NKEY_BYTES];
    if (!nats_nkey_public(seed, public))
        return NATS_INVALID_ARG;
    return natsOptions_SetNKey(options, public, sign_by_nkey, (void *)seed);
}
