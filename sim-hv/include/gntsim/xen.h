/* SPDX-License-Identifier: MIT */
/* Xen's public headers (package libxen-dev), at the interface version that the model implements. */
#ifndef GNTSIM_XEN_H
#define GNTSIM_XEN_H

#include <stdint.h>

#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#endif
/* The operations of a toolstack stand there, too. */
#ifndef __XEN_TOOLS__
#define __XEN_TOOLS__ 1
#endif
#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/version.h>
#include <xen/features.h>
#include <xen/vm_event.h>

#endif
