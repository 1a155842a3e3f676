// What the guest does to its memory, and what the host does meanwhile.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import ScriptedGuest

extension RequestWorld {
    static var memoryOperations: [Operation<RequestWorld>] {
        [
            Operation(
                "touch",
                [
                    .number("guest"), .number("cpu"), .number("page", 2), .choice("as", ["private", "shared"]),
                    .choice("kind", ["read", "write", "execute"]),
                ]
            ) { world, a in
                let gpa = world.guest(a[0]).gpa(a[2])
                let cBit: CBit = a.isSet(3) ? .shared : .private
                world.act(a[0], a[1]) { _, memory in
                    if a[4] == 1 {
                        try memory.store([7], at: gpa, cBit)
                    } else {
                        _ = try memory.bytes(gpa, count: 1, cBit, kind: a[4] == 2 ? .execute : .read)
                    }
                    return nil
                }
            },
            Operation(
                "pvalidate",
                [
                    .number("guest"), .number("cpu"), .number("page", 2), .choice("size", ["4K", "2M"]),
                    .choice("to", ["valid", "invalid"]),
                ]
            ) { world, a in
                let gpa = world.guest(a[0]).gpa(a[2])
                world.act(a[0], a[1]) { _, memory in
                    _ = try memory.rmp.pvalidate(
                        try memory.resolve(gpa), size: a.isSet(3) ? .size2M : .size4K, validate: !a.isSet(4),
                        asid: memory.context.asid, vmpl: memory.context.vmpl)
                    return nil
                }
            },
            Operation(
                "rmpadjust",
                [
                    .number("guest"), .number("cpu"), .number("page", 2), .number("target"), .number("permissions"),
                    .choice("vmsa", ["no", "yes"]),
                ]
            ) { world, a in
                let gpa = world.guest(a[0]).gpa(a[2])
                world.act(a[0], a[1]) { _, memory in
                    try memory.rmp.rmpAdjust(
                        try memory.resolve(gpa), size: .size4K, target: vmpl(a[3]),
                        permissions: VMPLPermissions(rawValue: UInt8(a[4])), vmsa: a.isSet(5),
                        asid: memory.context.asid, vmpl: memory.context.vmpl)
                    return nil
                }
            },
            // A private page becomes a VMSA that VMRUN accepts, but for one quadword.
            Operation(
                "vmsa",
                [.number("guest"), .number("cpu"), .number("page", 2), .number("offset", 2), .number("value", 8)]
            ) { world, a in
                let gpa = world.guest(a[0]).gpa(a[2])
                var bytes = VMSA.scripted().bytes
                if a.isSet(3) {
                    for index in 0..<8 where Int(a[3]) + index < bytes.count {
                        bytes[Int(a[3]) + index] = UInt8(truncatingIfNeeded: a[4] >> UInt64(index * 8))
                    }
                }
                world.act(a[0], a[1]) { [bytes] _, memory in
                    try memory.store(bytes, at: gpa, .private)
                    try memory.rmp.rmpAdjust(
                        try memory.resolve(gpa), size: .size4K, target: .vmpl1, permissions: [], vmsa: true,
                        asid: memory.context.asid, vmpl: memory.context.vmpl)
                    return nil
                }
            },
        ]
    }

    static var hostOperations: [Operation<RequestWorld>] { vmmOperations + machineOperations }

    private static var vmmOperations: [Operation<RequestWorld>] {
        [
            Operation(
                "manner",
                [.choice("vmm", Manner.allCases.map { "\($0)" }), .number("answer", 8)]
            ) { world, a in
                world.manner = Manner.allCases[a.int(0)]
                world.answer = a[1]
            },
            Operation(
                "personality", [.number("guest"), .choice("host", GHCBPersonality.all.map(\.name))]
            ) { world, a in world.guest(a[0]).vm.setPersonality(GHCBPersonality.all[a.int(1)]) },
            Operation("run", [.number("guest"), .number("cpu")]) { world, a in
                world.run(world.guest(a[0]), Int(a[1] & 1))
            },
            Operation(
                "convert",
                [.number("guest"), .number("page", 2), .number("count", 2), .choice("to", ["private", "shared"])]
            ) { world, a in
                let guest = world.guest(a[0])
                try guest.vm.setMemoryAttributes(
                    guest.gpa(a[1]), byteCount: a[2] << 12, to: a.isSet(3) ? .shared : .private)
            },
            Operation("punch", [.number("guest"), .number("page", 2), .number("count", 2)]) { world, a in
                let guest = world.guest(a[0])
                try guest.vm.punchHole(guest.file, offset: a[1] << 12, byteCount: a[2] << 12)
            },
            Operation("discard", [.number("guest"), .number("page", 2), .number("count", 2)]) { world, a in
                world.guest(a[0]).user.discard(a[1]..<a[1] + a[2])
            },
            Operation("slot", [.number("guest"), .choice("to", ["deleted", "made"])]) { world, a in
                let guest = world.guest(a[0])
                try guest.vm.setMemoryRegion(
                    MemoryRegion(
                        slot: 0, gpa: guest.base.address, byteCount: a.isSet(1) ? Guest.pageCount << 12 : 0,
                        userMemory: guest.user, guestMemory: guest.file))
            },
        ]
    }

    private static var machineOperations: [Operation<RequestWorld>] {
        [
            Operation(
                "signal", [.number("guest"), .number("cpu"), .choice("what", ["INIT", "SIPI", "interrupt", "wake"])]
            ) { world, a in
                let cpu = world.guest(a[0]).cpus[Int(a[1] & 1)]
                switch a[2] {
                case 0: cpu.deliverInit()
                case 1: cpu.deliverSIPI()
                case 2: cpu.interruptRun()
                default: cpu.setState(.runnable)
                }
            },
            Operation(
                "refuse", [.choice("instruction", ["RMPUPDATE", "PSMASH"]), .number("after"), .number("times")]
            ) { world, a in
                world.sealed.refuse(
                    a.isSet(0) ? .psmash : .rmpUpdate, skipped: a.int(1), count: a.int(2), with: .failInUse)
            },
            Operation("refuse-firmware", [.number("after"), .number("times"), .number("status")]) { world, a in
                world.sealed.refuseFirmware(
                    skipped: a.int(0), count: a.int(1), with: FirmwareStatus(rawValue: UInt16(a[2])))
            },
            Operation("exhaust", [.number("left")]) { world, a in world.sealed.exhaustMemory(leaving: a.int(0)) },
            // A host that attacks: which attacks is a mask, in the order that they are declared in.
            Operation(
                "hostile", [.number("guest"), .number("attacks", 4), .number("seed", 2), .number("interval")]
            ) { world, a in
                let attacks = HostileAttack.allCases.enumerated().filter { a[1] >> UInt64($0.offset) & 1 == 1 }
                world.guest(a[0]).vm.setPersonality(
                    .hostile(Hostility(Set(attacks.map(\.element)), seed: a[2], interval: a[3])))
            },
        ]
    }
}
