/* SPDX-License-Identifier: MIT */
/* A PV guest: its notes for the domain builder, its entry point, and memory accesses that survive a fault. */
#include <xen/elfnote.h>
#include "layout.h"

    .section .text.entry, "ax"
    .globl _start
_start:
    lea stack_end(%rip), %rsp
    xor %ebp, %ebp
    call guest_main
    ud2

/* int guest_read(uint64_t address, uint64_t size, uint64_t *value), int guest_write(uint64_t address, uint64_t size, uint64_t value) */
    .globl guest_read, guest_write
guest_read:
    mov %rsp, saved_stack(%rip)
    xor %eax, %eax
    cmp $1, %rsi
    je 1f
    cmp $2, %rsi
    je 2f
    cmp $4, %rsi
    je 4f
    mov (%rdi), %rax
    jmp 9f
1:  movzbl (%rdi), %eax
    jmp 9f
2:  movzwl (%rdi), %eax
    jmp 9f
4:  mov (%rdi), %eax
9:  mov %rax, (%rdx)
    xor %eax, %eax
    ret

guest_write:
    mov %rsp, saved_stack(%rip)
    cmp $1, %rsi
    je 1f
    cmp $2, %rsi
    je 2f
    cmp $4, %rsi
    je 4f
    mov %rdx, (%rdi)
    jmp 9f
1:  mov %dl, (%rdi)
    jmp 9f
2:  mov %dx, (%rdi)
    jmp 9f
4:  mov %edx, (%rdi)
9:  xor %eax, %eax
    ret

/* Only the two above ever fault. They are left as if they had returned -1. */
    .globl guest_fault
guest_fault:
    mov saved_stack(%rip), %rsp
    mov $-1, %rax
    ret

/* long guest_hypercall(nr, a1 … a5) */
    .globl guest_hypercall
guest_hypercall:
    push %rbx
    mov %rdi, %rax
    shl $5, %rax
    lea hypercall_page(%rip), %rbx
    add %rbx, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    call *%rax
    pop %rbx
    ret

    .section .text.hypercall, "ax"
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096

    .bss
    .balign 16
    .skip 8192
stack_end:
saved_stack:
    .skip 8

    .macro note_string type, text
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  .asciz "\text"
2:  .balign 4
    .endm
    .macro note_number type, value
    .long 4, 8, \type
    .asciz "Xen"
    .quad \value
    .endm

    .section .note.Xen, "a", @note
    note_string XEN_ELFNOTE_GUEST_OS, "gntsim-conformance"
    note_string XEN_ELFNOTE_XEN_VERSION, "xen-3.0"
    note_string XEN_ELFNOTE_LOADER, "generic"
    note_string XEN_ELFNOTE_PAE_MODE, "yes"
    note_number XEN_ELFNOTE_VIRT_BASE, GUEST_BASE
    note_number XEN_ELFNOTE_PADDR_OFFSET, GUEST_BASE
    note_number XEN_ELFNOTE_ENTRY, _start
    note_number XEN_ELFNOTE_HYPERCALL_PAGE, hypercall_page

    .section .note.GNU-stack, "", @progbits
