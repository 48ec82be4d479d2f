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
#define ARCH_XEN_START 0xffff800000000000ul /* where Xen is in an address space */
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

static inline bool arch_domain_is_possible(bool hvm, bool hap,
                                           const struct xen_arch_domainconfig *config)
{
    uint32_t emulated = config->emulation_flags;

    (void)hap;
    return hvm ? emulated == XEN_X86_EMU_LAPIC || emulated == (XEN_X86_EMU_ALL & ~XEN_X86_EMU_VPCI)
               : !emulated || emulated == XEN_X86_EMU_PIT;
}

#else

#define ARCH_XEN_CAPABILITIES "xen-3.0-aarch64 xen-3.0-armv7l "
#define ARCH_XEN_START 0x200000ul
#define ARCH_HAS_CACHE_FLUSH true

static inline struct xen_arch_domainconfig arch_domain_config(bool auto_translated, bool hvm)
{
    (void)auto_translated;
    (void)hvm;
    return (struct xen_arch_domainconfig){ .gic_version = XEN_DOMCTL_CONFIG_GIC_V3 };
}

/* All domains are of one type, which both flags say. */
static inline bool arch_domain_is_possible(bool hvm, bool hap,
                                           const struct xen_arch_domainconfig *config)
{
    return hvm && hap && config->gic_version <= XEN_DOMCTL_CONFIG_GIC_V3 &&
           config->tee_type == XEN_DOMCTL_CONFIG_TEE_NONE;
}

#endif

#endif
