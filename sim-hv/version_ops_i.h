/* SPDX-License-Identifier: MIT */
/* What the hypervisor says of itself (xen_version), and how large each answer is. */
#ifndef GNTSIM_HV_VERSION_OPS_I_H
#define GNTSIM_HV_VERSION_OPS_I_H

#define HV_VERSION_OPS(ROW)                                          \
    ROW(version, 0)                                                  \
    ROW(extraversion, sizeof(xen_extraversion_t))                    \
    ROW(compile_info, sizeof(struct xen_compile_info))               \
    ROW(capabilities, sizeof(xen_capabilities_info_t))               \
    ROW(changeset, sizeof(xen_changeset_info_t))                     \
    ROW(platform_parameters, sizeof(struct xen_platform_parameters)) \
    ROW(get_features, sizeof(struct xen_feature_info))               \
    ROW(pagesize, 0)                                                 \
    ROW(guest_handle, sizeof(xen_domain_handle_t))                   \
    ROW(commandline, sizeof(xen_commandline_t))                      \
    ROW(build_id, 0)

#endif
