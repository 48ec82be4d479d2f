/* SPDX-License-Identifier: MIT */
/* The table of hypercalls that a step can make, with the fields of their arguments. */
#ifndef GNTSIM_CONFORMANCE_CALLS_H
#define GNTSIM_CONFORMANCE_CALLS_H

#include <stdint.h>

enum field_kind { FIELD_NUMBER, FIELD_SIGNED, FIELD_DOMAIN, FIELD_FRAME, FIELD_BUS, FIELD_ADDRESS,
                  FIELD_HANDLE };

struct field {
    const char *name;
    uint16_t offset;
    uint8_t size, kind;
    uint8_t out;                   /* reported after the call */
};

enum call_shape { CALL_ARRAY, CALL_ONE, CALL_EVTCHN };

struct call {
    const char *name;
    uint32_t cmd;
    uint16_t size;
    uint8_t shape;
    uint8_t nr_fields;
    const struct field *fields;
};

const struct call *find_call(const char *name);

#endif
