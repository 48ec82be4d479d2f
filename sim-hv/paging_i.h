/* SPDX-License-Identifier: MIT */
/* Pages that are out, and how they come back. */
#ifndef GNTSIM_HV_PAGING_I_H
#define GNTSIM_HV_PAGING_I_H

#include "hv_i.h"

/*
 * Somebody needs a page that is out, or on its way: asks for it. own: the domain itself. A domain
 * without a pager is crashed, unless hv_page_out paged it out.
 */
void paging_populate(struct hv_domain *d, uint64_t gfn, bool own);
/* The pager answered: a page that still has its frame is there again. */
void paging_resume(struct hv_domain *d, uint64_t gfn);
/* The domain gives up a page that is out or coming: 0, or -EILSEQ as Xen's p2m refuses it. */
int paging_drop(struct hv_domain *d, uint64_t gfn, struct p2m_entry e);
/*
 * The domain's kernel has given up a page that is out: its pager need not keep it. A real vCPU
 * waits until the ring has room. This one goes on, and the pager is told later.
 */
void paging_forget(struct hv_domain *d, uint64_t gfn);
/* The ring has room. */
void paging_tell_forgotten(struct hv_domain *d);

#endif
