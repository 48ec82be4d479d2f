/* SPDX-License-Identifier: MIT */
/* The queries of hv.h: what a guest can map, and what only the machine's owner sees. */
#include "hv_i.h"

void *hv_grant_frame(const struct hv *hv, domid_t dom, unsigned i)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    return d && i < d->gt.nr_frames ? d->gt.frames[i].shared : NULL;
}

void *hv_status_frame(const struct hv *hv, domid_t dom, unsigned i)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    return d && i < d->gt.nr_status ? d->gt.status[i].status : NULL;
}

uint64_t hv_grant_frame_mfn(const struct hv *hv, domid_t dom, unsigned i)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    return d && i < d->gt.nr_frames ? d->gt.frames[i].mfn : HV_INVALID_MFN;
}

uint64_t hv_status_frame_mfn(const struct hv *hv, domid_t dom, unsigned i)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    return d && i < d->gt.nr_status ? d->gt.status[i].mfn : HV_INVALID_MFN;
}

unsigned hv_nr_grant_frames(const struct hv *hv, domid_t dom)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    return d ? d->gt.nr_frames : 0;
}

void *hv_shared_info(const struct hv *hv, domid_t dom)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    return d ? d->shared_info : NULL;
}

uint64_t hv_shared_info_mfn(const struct hv *hv, domid_t dom)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    return d ? d->shared_info_mfn : HV_INVALID_MFN;
}

void domain_describe(const struct hv_domain *d, struct xen_domctl_getdomaininfo *info)
{
    bool hvm = d->guest == &guest_translated;
    uint32_t online = d->is_bare ? 0 : d->nr_vcpus;

    *info = (struct xen_domctl_getdomaininfo){
        .domain = d->id,
        .tot_pages = domain_tot_pages(d),
        .max_pages = d->max_pages,
        .shr_pages = d->shared_pages,
        .paged_pages = (uint64_t)d->paged_pages,
        .nr_online_vcpus = online,
        .max_vcpu_id = d->nr_vcpus ? d->nr_vcpus - 1 : XEN_INVALID_MAX_VCPU_ID,
        .gpaddr_bits = 48,
        .shared_info_frame = hvm ? frame_of(d->hv, d->shared_info_mfn)->gfn : d->shared_info_mfn,
        .flags = (hvm ? XEN_DOMINF_hvm_guest | XEN_DOMINF_hap : 0) |
                 (d->life == DOMAIN_DEAD ? XEN_DOMINF_dying : 0) |
                 (d->pauses ? XEN_DOMINF_paused : 0) | (online ? XEN_DOMINF_blocked : 0) |
                 (d->crashed ? XEN_DOMINF_shutdown | SHUTDOWN_crash << XEN_DOMINF_shutdownshift
                             : XEN_DOMINF_shutdownmask << XEN_DOMINF_shutdownshift),
        .arch_config = d->arch,
    };
    memcpy(info->handle, d->handle, sizeof info->handle);
}

int hv_domain_info(const struct hv *hv, domid_t dom, struct hv_domain_info *out)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    if (!d)
        return -ESRCH;
    *out = (struct hv_domain_info){
        .id = d->id,
        .auto_translated = d->guest == &guest_translated,
        .privileged = d->privileged,
        .dying = domain_dying(d),
        .crashed = d->crashed,
        .grant_version = d->gt.version,
        .nr_grant_frames = d->gt.nr_frames,
        .max_grant_frames = d->gt.max_frames,
        .nr_status_frames = d->gt.nr_status,
        .maptrack_limit = maptrack_limit(&d->maptrack),
        .max_maptrack_frames = d->maptrack.max_frames,
        .maptrack_in_use = d->maptrack.in_use,
        .tot_pages = domain_tot_pages(d),
        .max_pages = d->max_pages,
        .paged_pages = d->paged_pages,
        .shared_pages = d->shared_pages,
        .max_gfn = d->p2m.max_gfn,
        .is_bare = d->is_bare,
        .nr_ports = d->evtchns.in_use,
    };
    return 0;
}

int hv_entry_info(const struct hv *hv, domid_t dom, uint32_t ref, struct hv_entry_info *out)
{
    const struct hv_domain *d = domain_lookup(hv, dom);
    const struct active_entry *act;

    if (!d)
        return -ESRCH;
    if (ref >= nr_grant_entries(&d->gt))
        return -EINVAL;
    act = active_entry(&d->gt, ref);
    *out = (struct hv_entry_info){
        .ref = ref,
        .flags = gnttab_header_flags(&d->gt, ref),
        .frame = gnttab_transfer_frame(&d->gt, ref),
        .pin_host_write = act->pin & 0xff,
        .pin_host_read = act->pin >> 8 & 0xff,
        .pin_dev_write = act->pin >> 16 & 0xff,
        .pin_dev_read = act->pin >> 24,
        .pinned_by = act->domid,
        .mfn = act->mfn,
    };
    if (d->gt.version == 1) {
        out->domid = __atomic_load_n(&shared_v1(&d->gt, ref)->domid, __ATOMIC_RELAXED);
    } else {
        out->domid = __atomic_load_n(&shared_v2(&d->gt, ref)->hdr.domid, __ATOMIC_RELAXED);
        out->flags |= __atomic_load_n(status_word(&d->gt, ref), __ATOMIC_RELAXED) &
                      (GTF_reading | GTF_writing);
    }
    return 0;
}

int hv_mapping_next(const struct hv *hv, domid_t dom, uint32_t from, struct hv_mapping_info *out)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    if (!d)
        return -ESRCH;
    for (uint64_t handle = from; handle < maptrack_limit(&d->maptrack); handle++) {
        const struct maptrack_entry *e = maptrack_entry(&d->maptrack, (uint32_t)handle);

        if (!e->flags)
            continue;
        *out = (struct hv_mapping_info){
            .handle = (uint32_t)handle, .granter = e->domid, .ref = e->ref, .gntmap_flags = e->flags
        };
        return 0;
    }
    return -ENOENT;
}

int hv_frame_info(const struct hv *hv, uint64_t mfn, struct hv_frame_info *out)
{
    const struct frame *f;

    if (mfn >= hv->nr_frames)
        return -EINVAL;
    f = frame_of(hv, mfn);
    *out = (struct hv_frame_info){
        .mfn = mfn,
        .gfn = f->refs && !(f->flags & FRAME_SHARED) ? f->gfn : UINT64_MAX,
        .owner = f->owner,
        .refs = f->refs,
        .writable_types = f->types,
        .held = f->held,
        .allocated = f->flags & FRAME_ALLOCATED,
    };
    if (mfn == 0 || f->flags & FRAME_XENHEAP)
        out->owner = -2;
    else if (f->refs == 0 || f->owner == NO_OWNER)
        out->owner = -1;
    return 0;
}

int hv_port_next(const struct hv *hv, domid_t dom, uint32_t from, struct hv_port_info *out)
{
    const struct hv_domain *d = domain_lookup(hv, dom);

    if (!d)
        return -ESRCH;
    for (uint32_t port = from ? from : 1; port_is_valid(&d->evtchns, port); port++) {
        const struct evtchn *chn = evtchn(&d->evtchns, port);
        static const unsigned status[] = {
            [ECS_UNBOUND] = EVTCHNSTAT_unbound, [ECS_INTERDOMAIN] = EVTCHNSTAT_interdomain,
            [ECS_VIRQ] = EVTCHNSTAT_virq, [ECS_IPI] = EVTCHNSTAT_ipi,
        };

        if (chn->state == ECS_FREE)
            continue;
        *out = (struct hv_port_info){
            .port = port, .status = status[chn->state], .remote_dom = chn->remote_dom,
            .remote_port = chn->remote_port, .virq = chn->virq,
            .pending = evtchn_2l_is_pending(d, port), .masked = evtchn_2l_is_masked(d, port),
        };
        return 0;
    }
    return -ENOENT;
}
