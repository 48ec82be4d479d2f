/* SPDX-License-Identifier: MIT */
/*
 * The part of libxentoolcore that only Xen's own libraries call. libxen-dev has no header for it. A
 * handle must register there, or xentoolcore_restrict_all() would miss it.
 */
#ifndef GNTSIM_LIBGNTTAB_TOOLCORE_I_H
#define GNTSIM_LIBGNTTAB_TOOLCORE_I_H

#include <assert.h>

#include <xen/xen.h>
#include <xen_list.h>

typedef struct Xentoolcore__Active_Handle Xentoolcore__Active_Handle;
typedef int Xentoolcore__Restrict_Callback(Xentoolcore__Active_Handle *handle, domid_t domid);

/* Lives in the registering library's handle; the list links belong to libxentoolcore. */
struct Xentoolcore__Active_Handle {
    Xentoolcore__Restrict_Callback *restrict_callback;
    XEN_LIST_ENTRY(Xentoolcore__Active_Handle) entry;
};
static_assert(sizeof(Xentoolcore__Active_Handle) == 3 * sizeof(void *), "libxentoolcore's layout");

void xentoolcore__register_active_handle(Xentoolcore__Active_Handle *handle);
void xentoolcore__deregister_active_handle(Xentoolcore__Active_Handle *handle);

/* Puts /dev/null in the place of fd; 0, or −1 and errno. */
int xentoolcore__restrict_by_dup2_null(int fd);

#endif
