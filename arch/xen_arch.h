/* SPDX-License-Identifier: MIT */
/*
 * What Xen has of its own for each processor: the configuration of a domain, and what Xen says of
 * itself. Xen's own headers come first: whoever includes this chooses their version.
 */
#ifndef GNTSIM_ARCH_XEN_ARCH_H
#define GNTSIM_ARCH_XEN_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)

#define ARCH_XEN_CAPABILITIES "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 "
/* Where addresses of programs end; where Xen is in a PV guest's address space, and behind it. */
#define ARCH_USER_END (UINT64_C(1) << 47)
#define ARCH_XEN_START HYPERVISOR_VIRT_START
#define ARCH_XEN_END HYPERVISOR_VIRT_END
#define ARCH_VCPU_INFO_SIZE 64u
#define ARCH_HAS_CACHE_FLUSH false          /* GNTTABOP_cache_flush in every version */

/* The configuration of a domain that a toolstack did not make. hvm: its devices are emulated. */
static inline struct xen_arch_domainconfig arch_domain_config(bool auto_translated, bool hvm)
{
    return (struct xen_arch_domainconfig){
        .emulation_flags = !auto_translated ? 0
                         : hvm              ? XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI
                                            : XEN_X86_EMU_LAPIC
    };
}

static inline bool arch_domain_is_possible(bool hvm, const struct xen_arch_domainconfig *config)
{
    uint32_t emulated = config->emulation_flags;

    return hvm ? emulated == XEN_X86_EMU_LAPIC || emulated == (XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI)
               : !emulated || emulated == XEN_X86_EMU_PIT;
}

#else

#define ARCH_XEN_CAPABILITIES "xen-3.0-aarch64 xen-3.0-armv7l "
#define ARCH_USER_END (UINT64_C(1) << 48)
/* Real Xen has no PV guests here. The model's have Xen where it is on x86-64. */
#define ARCH_XEN_START 0xffff800000000000ul
#define ARCH_XEN_END 0xffff880000000000ul
#define ARCH_VCPU_INFO_SIZE 48u
#define ARCH_HAS_CACHE_FLUSH true

static inline struct xen_arch_domainconfig arch_domain_config(bool auto_translated, bool hvm)
{
    (void)auto_translated;
    (void)hvm;
    return (struct xen_arch_domainconfig){ .gic_version = XEN_DOMCTL_CONFIG_GIC_V3 };
}

static inline bool arch_domain_is_possible(bool hvm, const struct xen_arch_domainconfig *config)
{
    (void)hvm;
    return config->gic_version <= XEN_DOMCTL_CONFIG_GIC_V3 &&
           config->tee_type == XEN_DOMCTL_CONFIG_TEE_NONE;
}

#endif

#endif
