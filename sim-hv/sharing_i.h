/* SPDX-License-Identifier: MIT */
/*
 * Memory sharing: frames that several gfns show, and their copies on write. Such a frame belongs to
 * DOMID_COW and knows its users. For all domains together, the gfns that are shared are as many as
 * the shared frames and the saved ones (hv->nr_shared, hv->nr_saved).
 */
#ifndef GNTSIM_HV_SHARING_I_H
#define GNTSIM_HV_SHARING_I_H

#include "hv_i.h"

struct shared_user {
    struct shared_user *next;
    uint64_t gfn;
    domid_t domid;
    bool lost; /* the gfn was taken out of the physmap past us: only its end ends this */
};

/* What a frame with FRAME_SHARED knows. */
struct shared_page {
    uint64_t handle; /* never used again */
    uint64_t nr_users;
    struct shared_user *users;
};

/* The page at gfn; NULL: it is not shared. */
struct shared_page *sharing_at(const struct hv_domain *d, uint64_t gfn);
/*
 * Makes the page at gfn one that can be shared; expected: references of others that it has. 0 and
 * its handle (also if it was shared already), -EINVAL (nothing that can be shared), -E2BIG (other
 * references), -ENOMEM.
 */
int sharing_nominate(struct hv_domain *d, uint64_t gfn, unsigned expected, uint64_t *handle);
/* All users of client's frame show source's from now on. Both are shared, and not the same. */
void sharing_merge(struct hv *hv, uint64_t source, uint64_t client);
/* A gfn with nothing in it shows the shared frame mfn. 0, -ENOMEM, -EINVAL. */
int sharing_add_user(struct hv_domain *d, uint64_t gfn, uint64_t mfn);
/*
 * The page at gfn, which is shared, becomes the domain's own: a copy, if others still show the
 * frame. -ENOMEM: it stays as it is.
 */
int sharing_unshare(struct hv_domain *d, uint64_t gfn);
/* The same; without memory the domain's ring is told. own: the domain itself caused it. */
int sharing_unshare_or_notify(struct hv_domain *d, uint64_t gfn, bool own);
/* The page at gfn leaves the physmap, but its frame keeps it as a user. */
void sharing_lose(struct hv_domain *d, uint64_t gfn);
/* shown.c: whether processes that see the frame as d's page can be shown another one. */
bool shown_can_change(const struct hv_domain *d, uint64_t gfn, uint64_t mfn);
/* They see frame to from now on, instead of from. */
void shown_change(const struct hv_domain *d, uint64_t gfn, uint64_t from, uint64_t to,
                  bool writable);
/* A mapping of a grant of d's ended. If d had mapped that page itself, and nobody has it mapped any
 * more, nothing is left where the page was before. */
void shown_lose(const struct hv_domain *d, uint64_t mfn);
/* A helper of d's has answered, or is gone. */
void shown_go_on(struct hv_domain *d);
/* sharing_fork.c: XENMEM_sharing_op_fork and fork_reset of d, the child. */
long sharing_fork(const struct hv_call *c, struct hv_domain *d,
                  const struct mem_sharing_op_fork *fork);
long sharing_fork_reset(struct hv_domain *d, const struct mem_sharing_op_fork *fork);
/* Somebody needs gfn of d: if d is a fork without it, its parent's page or a copy comes there. */
void sharing_fork_fill(struct hv_domain *d, uint64_t gfn, bool write);
/* The fork dies. */
void sharing_leave_parent(struct hv_domain *d);

/* The domain dies. */
void sharing_release_all(struct hv_domain *d);

#endif
