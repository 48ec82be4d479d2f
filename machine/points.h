/* SPDX-License-Identifier: MIT */
/* The points at which faults can happen and which a trace shows, with their names. */
#ifndef GNTSIM_MACHINE_POINTS_H
#define GNTSIM_MACHINE_POINTS_H

#include <stdbool.h>
#include <stdint.h>

#include <gntsim/hv.h>
#include <gntsim/kernel.h>

enum point_kind {
    POINT_ELEMENT,               /* an element of a hypercall's batch */
    POINT_CALL,                  /* a hypercall as a whole */
    POINT_DEVICE,                /* a call of a device file */
    POINT_KERNEL,                /* in a kernel */
    POINT_STORE,                 /* a request to the store, or an event of a watch */
    NR_POINT_KINDS,
};
extern const char *const point_kinds[NR_POINT_KINDS];

struct point {
    enum point_kind kind;
    const char *at;              /* one of point_names: the same pointer for the same name */
    const char *device, *ioctl;  /* NULL: none; ioctl is "0x…" in number for one without a name */
    unsigned ioctl_nr;
    domid_t domain;
    domid_t peer;                /* DOMID_INVALID: none */
    uint32_t ref;                /* UINT32_MAX: none */
    uint32_t index, count;       /* of an element; the size of a hypercall's batch */
    bool writable;
    enum kernel_op op;           /* POINT_DEVICE, POINT_KERNEL */
    const char *path;            /* POINT_STORE: absolute; NULL: it names none */
};

/* The name of a point, as the pointer that points have; NULL: there is none. */
const char *point_name_find(const char *name);
/* The kinds of points that have this name, one bit each; NULL ("*"): all. */
unsigned point_name_kinds(const char *at);
const char *point_device_find(const char *name);

void point_of_hypercall(struct point *point, const struct hv_point *hv_point);
void point_of_kernel(struct point *point, const struct kernel_point *kernel_point);
/*
 * A request (XS_*), or XS_WATCH_EVENT, of a connection of domain with a path as given. room: of
 * size bytes for the absolute one, as long as the point is used.
 */
void point_of_store(struct point *point, uint32_t type, domid_t domain, const char *path,
                    char *room, size_t size);
/* Name of a hypercall's command, one of point_names. */
const char *point_command_name(unsigned op, unsigned cmd);
const char *point_kernel_op_name(enum kernel_op op);
/* NULL: there is no such request. */
const char *point_store_name(uint32_t type);
extern const char point_store_event[];
/* What a sweep makes of a request: an errno that a correct client may meet; NULL: nothing. */
const char *point_store_fault(uint32_t type);
/* What a trace calls argument i (< 4) of a kernel's point; NULL: it shows no more of them. */
const char *point_kernel_arg_name(enum kernel_op op, unsigned i);

#endif
