/* SPDX-License-Identifier: MIT */
/* What the hypervisor says of itself (xen_version), to whom. */
#include "hv_i.h"
#include "ops_i.h"
#include "plain_memory.h"
#include "xen_arch.h"

/* The profile is called after its release: xen-MAJOR.MINOR. */
static void release_of(const struct hv *hv, unsigned *major, unsigned *minor)
{
    char *end;

    *major = (unsigned)strtoul(hv->profile->name + strlen("xen-"), &end, 10);
    *minor = (unsigned)strtoul(end + 1, NULL, 10);
}

static long version(const struct hv_call *c, uint64_t arg)
{
    unsigned major, minor;

    (void)arg;
    release_of(c->hv, &major, &minor);
    return major << 16 | minor;
}

static long extraversion(const struct hv_call *c, uint64_t arg)
{
    xen_extraversion_t extra = { 0 };

    strncpy(extra, c->hv->profile->extraversion, sizeof extra - 1);
    return call_to_guest(c, arg, extra, sizeof extra);
}

static long compile_info(const struct hv_call *c, uint64_t arg)
{
    static const struct xen_compile_info info = { .compiler = "gntsim",
                                                  .compile_by = "gntsim",
                                                  .compile_domain = "gntsim",
                                                  .compile_date = "Thu Jan  1 00:00:00 UTC 1970" };

    return call_to_guest(c, arg, &info, sizeof info);
}

static long capabilities(const struct hv_call *c, uint64_t arg)
{
    static const xen_capabilities_info_t text = ARCH_XEN_CAPABILITIES;

    return call_to_guest(c, arg, text, sizeof text);
}

static long changeset(const struct hv_call *c, uint64_t arg)
{
    static const xen_changeset_info_t text = "gntsim";

    return call_to_guest(c, arg, text, sizeof text);
}

static long platform_parameters(const struct hv_call *c, uint64_t arg)
{
    static const struct xen_platform_parameters parameters = { .virt_start = ARCH_XEN_START };

    return call_to_guest(c, arg, &parameters, sizeof parameters);
}

static long get_features(const struct hv_call *c, uint64_t arg)
{
    struct xen_feature_info info;

    if (call_from_guest(c, &info, arg, sizeof info))
        return -EFAULT;
    if (info.submap_idx)
        return -EINVAL;
    info.submap = c->d->guest == &guest_translated
                      ? 1u << XENFEAT_writable_page_tables | 1u << XENFEAT_auto_translated_physmap
                      : 1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_highmem_assist |
                            1u << XENFEAT_gnttab_map_avail_bits;
    if (c->d->privileged)
        info.submap |= 1u << XENFEAT_dom0;
    return call_to_guest(c, arg, &info, sizeof info);
}

static long pagesize(const struct hv_call *c, uint64_t arg)
{
    (void)c;
    return arg ? -EINVAL : (long)HV_PAGE_SIZE;
}

static long guest_handle(const struct hv_call *c, uint64_t arg)
{
    return call_to_guest(c, arg, c->d->handle, sizeof(xen_domain_handle_t));
}

static long commandline(const struct hv_call *c, uint64_t arg)
{
    xen_commandline_t text = { 0 };

    strcpy(text, c->d->privileged ? "placeholder" : "<denied>");
    return call_to_guest(c, arg, text, sizeof text);
}

/* This one has none. */
static long build_id(const struct hv_call *c, uint64_t arg)
{
    (void)arg;
    return c->d->privileged ? -ENODATA : -EPERM;
}

long version_hypercall(struct hv_call *c, const uint64_t args[5])
{
    static long (*const handlers[])(const struct hv_call *c, uint64_t arg) = {
#define ROW(op, size) [XENVER_##op] = op,
        HV_VERSION_OPS(ROW)
#undef ROW
    };
    uint64_t cmd = (uint32_t)args[0];

    if (cmd >= sizeof handlers / sizeof *handlers || !handlers[cmd])
        return -ENOSYS;
    return handlers[cmd](c, args[1]);
}

long hv_version(struct hv *hv, domid_t dom, unsigned cmd, void *arg)
{
    static const struct hv_guest_memory plain = { plain_copy_from, plain_copy_to, NULL };
    struct hv_call call = { .hv = hv, .d = domain_lookup(hv, dom), .mem = &plain };

    return call.d ? version_hypercall(&call, (uint64_t[5]){ cmd, (uintptr_t)arg }) : -ESRCH;
}
