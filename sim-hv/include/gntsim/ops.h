/* SPDX-License-Identifier: MIT */
/*
 * The table of hypercall operations: their names, their arguments, and what a trace shows of these.
 * Each fact stands in one row of sim-hv/ops_i.h.
 */
#ifndef GNTSIM_OPS_H
#define GNTSIM_OPS_H

#include <stddef.h>
#include <stdint.h>

#include <gntsim/xen.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A number in the argument, of size bytes at offset. A trace shows it if the 16 bits at when_at,
 * masked with when_mask, are when_value.
 */
struct hv_op_field {
    const char *name;              /* NULL: the end of the list */
    uint16_t offset, size;
    uint16_t when_at, when_mask, when_value;
};

#define HV_OP_ONE    1u            /* the hypercall's count must be 1 */
#define HV_OP_ARRAY  2u            /* the argument is an array of count elements */
#define HV_OP_STATUS 4u            /* each element, or the single argument, has a status: a point of
                                    * its own */
#define HV_OP_OUT    8u            /* an event channel operation that writes its argument back */
#define HV_OP_FIRST 16u            /* the argument's address is the hypercall's first argument, and
                                    * the second one's otherwise */

struct hv_op {
    const char *name;              /* as in traces and fault rules; NULL: it goes by the name of its
                                    * hypercall */
    unsigned cmd;                  /* GNTTABOP_*, EVTCHNOP_*, XENMEM_* */
    unsigned flags;                /* HV_OP_* */
    size_t size;                   /* of the argument, or of an element; 0: there is no such
                                    * operation */
    const struct hv_op_field *fields;
    const char *fault;             /* a sweep's fault: a status, or an errno for the whole call;
                                    * NULL: none */
};

struct hv_hypercall {
    const char *name;              /* also of operations without a name of their own */
    unsigned nr;                   /* __HYPERVISOR_*; the list ends with a name of NULL */
    unsigned cmd_mask;             /* the bits above say where a continued call goes on */
    const char *fault;
    const struct hv_op *ops;       /* by command */
    size_t nr_ops;
};

/* All hypercalls, and the one with the number __HYPERVISOR_*; NULL: it is unknown. */
extern const struct hv_hypercall hv_hypercalls[];
const struct hv_hypercall *hv_hypercall_find(unsigned nr);
/* The operation of hypercall nr with the first argument cmd; NULL: it is unknown. */
const struct hv_op *hv_op_find(unsigned nr, uint64_t cmd);

/*
 * The name of a GNTST_* status, like "bad_gntref"; NULL: it is none. Statuses are 0, -1 … down to
 * the first without a name.
 */
const char *hv_status_name(long status);

#ifdef __cplusplus
}
#endif
#endif
