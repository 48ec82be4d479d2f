/* SPDX-License-Identifier: MIT */
/*
 * What is known about the operations of the hypercalls: their names, their arguments, and
 * what of these a trace shows. The rows stand in sim-hv/ops_i.h, once; whoever needs such a
 * fact asks here.
 */
#ifndef GNTSIM_OPS_H
#define GNTSIM_OPS_H

#include <stddef.h>
#include <stdint.h>

#include <gntsim/xen.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A number in the argument. It is shown if the 16 bits at when_at, masked with when_mask, are when_value. */
struct hv_op_field {
    const char *name;              /* NULL: the end of the list */
    uint16_t offset, size;
    uint16_t when_at, when_mask, when_value;
};

#define HV_OP_ONE    1u            /* the hypercall's count must be 1 */
#define HV_OP_ARRAY  2u            /* the argument is an array of count elements */
#define HV_OP_STATUS 4u            /* each element, or the single argument, has a status: a point of its own */
#define HV_OP_OUT    8u            /* an event channel operation that writes its argument back */

struct hv_op {
    const char *name;              /* as in traces and fault rules; NULL: it goes by the name of its hypercall */
    unsigned cmd;                  /* GNTTABOP_*, EVTCHNOP_*, XENMEM_* */
    unsigned flags;                /* HV_OP_* */
    size_t size;                   /* of the argument, or of an element; 0: there is no such operation */
    const struct hv_op_field *fields;
    const char *fault;             /* what a sweep makes of it: a status, or an errno for the whole call; NULL: nothing */
};

struct hv_hypercall {
    const char *name;              /* of operations that have none, or are unknown */
    unsigned nr;                   /* __HYPERVISOR_*; the list ends with a name of NULL */
    unsigned cmd_mask;             /* the bits above say where a continuation goes on */
    const char *fault;
    const struct hv_op *ops;       /* by command */
    size_t nr_ops;
};

extern const struct hv_hypercall hv_hypercalls[];
const struct hv_hypercall *hv_hypercall_find(unsigned nr);     /* NULL: not known */
/* By the hypercall's number and its first argument. NULL: not known. */
const struct hv_op *hv_op_find(unsigned nr, uint64_t cmd);

/* "bad_gntref" for GNTST_bad_gntref; NULL: there is none. The statuses are 0, -1 … to the first without a name. */
const char *hv_status_name(long status);

#ifdef __cplusplus
}
#endif
#endif
