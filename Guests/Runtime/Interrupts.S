// Entry stubs of interrupts and NMIs, one for each vector. Only guests that take interrupts have them.

    .section .text.interrupts, "ax"
    .balign 16
    .globl interrupt_entry_stubs
interrupt_entry_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    pushq $0
    pushq $vector
    jmp interrupt_entry
    .set vector, vector + 1
    .endr

    .weak handle_interrupt
    .balign 16
interrupt_entry:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    call handle_interrupt
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    iretq

    .section .note.GNU-stack, "", @progbits
