/* SPDX-License-Identifier: MIT */
/* What is the same in all operations on arrays of elements that each have a status. */
#ifndef GNTSIM_HV_ELEMENTS_I_H
#define GNTSIM_HV_ELEMENTS_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hv_call;

struct element_kind {
    size_t size, status;                        /* of an element; where in it its status is */
    bool answers;                               /* all of it goes back, not just its status */
    /* What makes the hypercall fail before anything is done; NULL: nothing. */
    long (*refuse)(const struct hv_call *c, const void *op);
    /* One element: GNTST_*. */
    int (*act)(const struct hv_call *c, void *op, void *state);
};
#define ELEMENT(type) .size = sizeof(type), .status = offsetof(type, status)
long call_elements(const struct hv_call *c, uint64_t uop, unsigned count,
                   const struct element_kind *kind, void *state);

#endif
