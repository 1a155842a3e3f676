"""Runs single instructions in unicorn, for modes that the tests' own processor cannot show.

Reads lines "MODE CODE REGISTERS FLAGS DATA" (registers as eight hexadecimal words, comma-separated; code and data as bytes in
hexadecimal) from the file named, and prints "REGISTERS FLAGS IP DATA", or "refused", for each.
"""
import sys
from unicorn import Uc, UcError, UC_ARCH_X86, UC_MODE_16, UC_MODE_32
from unicorn.x86_const import *

CODE, DATA = 0x4000, 0x8000
NAMES = [UC_X86_REG_EAX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_EBX, UC_X86_REG_ESP, UC_X86_REG_EBP, UC_X86_REG_ESI,
         UC_X86_REG_EDI]
machines = {}
for bits, mode in ((16, UC_MODE_16), (32, UC_MODE_32)):
    machines[bits] = Uc(UC_ARCH_X86, mode)
    machines[bits].mem_map(0, 0x10000)
for line in open(sys.argv[1]):
    bits, code, registers, flags, data = line.split()
    uc = machines[int(bits)]
    code = bytes.fromhex(code)
    uc.mem_write(CODE, code + b'\x90' * 16)
    uc.mem_write(DATA, bytes.fromhex(data))
    # Translations of the code before are dropped.
    uc.ctl_remove_cache(CODE, CODE + 64)
    for name, value in zip(NAMES, registers.split(',')): uc.reg_write(name, int(value, 16))
    uc.reg_write(UC_X86_REG_EFLAGS, int(flags, 16))
    try:
        uc.emu_start(CODE, 0xffff, count=1)
    except UcError:
        print('refused')
        continue
    print(','.join('%x' % uc.reg_read(name) for name in NAMES), '%x' % uc.reg_read(UC_X86_REG_EFLAGS),
          '%x' % uc.reg_read(UC_X86_REG_EIP), uc.mem_read(DATA, len(data) // 2).hex())
