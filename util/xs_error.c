/* SPDX-License-Identifier: MIT */
/* Translates the names in the store's error replies to errno. */
#include "xs_error.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <xen/io/xs_wire.h>

int xs_error_number(const char *name)
{
    for (size_t i = 0; i < sizeof xsd_errors / sizeof *xsd_errors; i++)
        if (!strcmp(xsd_errors[i].errstring, name))
            return xsd_errors[i].errnum;
    return EINVAL;
}

/* NULL: the protocol has no name for it. */
static const char *name_of(int64_t number)
{
    for (size_t i = 0; i < sizeof xsd_errors / sizeof *xsd_errors; i++)
        if (xsd_errors[i].errnum == number)
            return xsd_errors[i].errstring;
    return NULL;
}

const char *xs_error_name(int number)
{
    const char *name = name_of(number);

    return name ? name : "EINVAL";
}

bool xs_error_has_name(int64_t number)
{
    return name_of(number);
}
