/* SPDX-License-Identifier: MIT */
/* What the rows of verbs_i.h say, for those who ask at run time. */
#include "verbs_i.h"

#include <string.h>

const struct verb control_verbs[] = {
#define CTL(name, handler, by, flags, words, arguments, answer, help) \
    { name, verb_##handler, by, flags, words, arguments, answer, help },
#define SOCKET(name, handler, by, flags) { name, verb_##handler, by, flags },
    CONTROL_VERBS(CTL, SOCKET)
    { .name = NULL },
};

const struct verb *control_verb_find(const char *name)
{
    for (const struct verb *verb = control_verbs; verb->name; verb++)
        if (!strcmp(verb->name, name))
            return verb;
    return NULL;
}
